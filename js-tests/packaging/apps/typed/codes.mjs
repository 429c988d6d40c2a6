import { errorCodes } from "farthing";

console.log(await errorCodes().then(({ length }) => length > 40, ({ code, message }) => `${code}: ${message}`));
