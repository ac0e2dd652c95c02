import { join } from "node:path";
import { build } from "esbuild";
import { environments, type FunctionName } from "#shared/environment.ts";

const root = join(import.meta.dirname, "..");

/**
 * Bundles every Lambda handler with one esbuild run, each into its own folder under `outdir`, and returns the
 * folder of each function. `outdir` must belong to this run alone. Class names are kept, because errors are
 * recognised by name.
 */
export async function bundleFunctions(outdir: string): Promise<Record<FunctionName, string>> {
  const names = Object.keys(environments) as FunctionName[];
  await build({
    absWorkingDir: root,
    entryPoints: names.map((name) => ({ in: `functions/${name}.ts`, out: `${name}/index` })),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    keepNames: true,
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    // Some dependencies are CommonJS and call require() for Node's own modules.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return Object.fromEntries(names.map((name) => [name, join(outdir, name)])) as Record<FunctionName, string>;
}
