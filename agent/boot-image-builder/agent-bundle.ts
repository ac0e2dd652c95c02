import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { build, type Plugin } from "esbuild";

const WORKER = /new URL\("(\.[^"]+)\.ts", import\.meta\.url\)/g;
const BANNER =
  'import { createRequire as causewayCreateRequire } from "node:module"; const require = causewayCreateRequire(import.meta.url);';

export interface BundleOptions {
  /** The TypeScript file to start with. */
  entry: string;
  /** The root of the repository, so that no path of this machine enters the bundle. */
  root: string;
  version: string;
}

/**
 * The agent as `main.mjs`, and beside it one script for each worker thread that it starts anywhere in its
 * code, and one for each part that it loads only when it needs it. The constant `CAUSEWAY_VERSION` is
 * replaced by the version.
 */
export async function bundleAgent(options: BundleOptions): Promise<Map<string, Buffer>> {
  const scripts = new Map<string, Buffer>();
  const queue = new Map([["main.mjs", options.entry]]);
  const sources = new Map(queue);
  for (let [next] = queue; next; [next] = queue) {
    const [name, entry] = next;
    queue.delete(name);
    const outputs = await bundle(name, entry, options, (script) => {
      const workerName = `${basename(script, ".ts")}.mjs`;
      const known = sources.get(workerName);
      if (known !== undefined && known !== script) throw new Error(`two scripts are called ${workerName}`);
      if (known === undefined) queue.set(workerName, script);
      sources.set(workerName, script);
      return workerName;
    });
    for (const [script, content] of outputs) scripts.set(script, content);
  }
  return scripts;
}

/** The script `name`, and the parts that it loads when it needs them. */
async function bundle(
  name: string,
  entry: string,
  { root, version }: BundleOptions,
  onWorker: (script: string) => string,
): Promise<[string, Buffer][]> {
  const result = await build({
    entryPoints: [{ in: entry, out: basename(name, ".mjs") }],
    absWorkingDir: root,
    bundle: true,
    // The name of a part has a hash of its content.
    splitting: true,
    outdir: root,
    outExtension: { ".js": ".mjs" },
    write: false,
    platform: "node",
    target: "node24",
    format: "esm",
    minify: true,
    // Messages contain class names.
    keepNames: true,
    legalComments: "none",
    logLevel: "error",
    banner: { js: BANNER },
    define: { CAUSEWAY_VERSION: JSON.stringify(version) },
    plugins: [workerScripts(onWorker)],
  });
  return result.outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)]);
}

/**
 * Worker threads start from a file that the code names relative to itself; in a bundle all scripts are in one
 * folder.
 */
function workerScripts(onWorker: (script: string) => string): Plugin {
  return {
    name: "worker-scripts",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/](agent|shared)[\\/].*\.ts$/ }, async ({ path }) => {
        const source = await readFile(path, "utf8");
        const contents = source.replace(
          WORKER,
          (_, script: string) =>
            `new URL("./${onWorker(resolve(dirname(path), `${script}.ts`))}", import.meta.url)`,
        );
        return { contents, loader: "ts" };
      });
    },
  };
}
