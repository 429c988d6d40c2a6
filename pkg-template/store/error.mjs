/** An error of a store, with a code that the client passes on. */
export function storageError(code, message, cause) {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  error.name = "FarthingError";
  error.code = code;
  return error;
}
