import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConversionType } from "#shared/protocol/conversion-types.ts";

const root = join(import.meta.dirname, "..");
const TABLE = "shared/protocol/conversion-types.ts";

test("only the table of conversion types names a type", () => {
  const types = ConversionType.options.join("|");
  const name = new RegExp(`(["'\`])(?:${types})\\1|--type (?:${types})\\b`);
  const paths = globSync("{agent,cli,functions,infra,local,shared}/**/*.ts", { cwd: root });
  const product = paths.filter((path) => !/\.test\.ts$|\/testing\//.test(path));
  expect(product).toContain(TABLE);
  const naming = product.filter((path) => name.test(readFileSync(join(root, path), "utf8")));
  expect(naming).toEqual([TABLE]);
});
