import { preload } from "farthing";

preload();
