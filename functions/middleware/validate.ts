import type * as z from "zod";
import { InvalidInputError } from "#shared/errors.ts";
import { inWords } from "#shared/problem-words.ts";

/** The parsed value. Throws `InvalidInputError`, which names every wrong field below `place`. */
export function validate<T extends z.ZodType>(schema: T, value: unknown, place = ""): z.output<T> {
  const result = schema.safeParse(value, { error: inWords });
  if (result.success) return result.data;
  const fields = result.error.issues.flatMap((issue) => {
    // For an unknown field, name the field itself, not its object.
    const names =
      issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    return names.map((path) => ({
      path: [place, ...path].filter((part) => part !== "").join("."),
      message: issue.message,
    }));
  });
  throw new InvalidInputError(fields);
}
