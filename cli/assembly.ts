import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { draftFolderOf, dropStale, isAssembly, nameDraft } from "./assembly-cache.ts";

const root = join(import.meta.dirname, "..");
const cache = join(root, ".cache", "assembly");

/** Everything that goes into the assembly. */
const INPUTS = ["{functions,infra,shared,statemachines}/**/*.{ts,json}", "package-lock.json", "cdk.json"];

/**
 * The folder of the cloud assembly for the current code. Synthesizes it the first time, which takes some
 * seconds; later calls find it by a hash of its inputs. Removes older assemblies.
 */
export async function currentAssembly(tell: (line: string) => void): Promise<string> {
  const key = inputsDigest();
  const wanted = join(cache, key);
  if (isAssembly(wanted)) return wanted;
  tell("synthesizing the cloud assembly");
  const draft = join(cache, draftFolderOf(key));
  await mkdir(cache, { recursive: true });
  await synthesize(draft);
  await nameDraft(draft, wanted);
  await dropStale(cache, key);
  return wanted;
}

function inputsDigest(): string {
  const digest = createHash("sha256");
  for (const path of globSync(INPUTS, { cwd: root }).sort()) {
    if (path.endsWith(".test.ts") || path.includes("/testing/")) continue;
    const content = readFileSync(join(root, path));
    digest.update(`${path}\0${content.length}\0`).update(content);
  }
  return digest.digest("hex").slice(0, 32);
}

/** In its own process: the CDK library is large, and needed only here. */
function synthesize(outdir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["infra/app.ts"], {
      cwd: root,
      env: { ...process.env, CDK_OUTDIR: outdir },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`synthesizing the cloud assembly failed:\n${errors}`));
    });
  });
}
