import { readFile } from "node:fs/promises";
import * as z from "zod";
import { AssemblyError } from "./assembly-error.ts";

/** Reads and validates a JSON file in the assembly. Errors name the file. */
export async function readJson<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  try {
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new AssemblyError(`cannot read ${path}: ${reason}`, { cause });
  }
}
