import { join, resolve } from "node:path";
import * as z from "zod";
import { AssemblyError } from "./assembly-error.ts";
import { Assets } from "./assets.ts";
import { inDependencyOrder } from "./dependency-order.ts";
import { readJson } from "./json-file.ts";
import { type Template, Template as TemplateSchema } from "./template.ts";

const Manifest = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      properties: z.looseObject({}).optional(),
      dependencies: z.array(z.string()).optional(),
    }),
  ),
});

const StackProperties = z.looseObject({ templateFile: z.string(), stackName: z.string().optional() });
const AssetManifestProperties = z.looseObject({ file: z.string() });

/** One stack of the assembly. */
export interface Stack {
  name: string;
  template: Template;
}

/** A synthesized CDK app: its stacks in deployment order, and their assets. */
export interface CloudAssembly {
  stacks: Stack[];
  assets: Assets;
}

/** Artifacts that describe the app to tools and create nothing. */
const DESCRIPTIVE = ["cdk:tree", "cdk:feature-flag-report", "cdk:validation-report"];

/**
 * Reads the output directory of `cdk synth`. Throws `AssemblyError` if it contains something unsupported,
 * such as a nested assembly.
 */
export async function readCloudAssembly(directory: string): Promise<CloudAssembly> {
  const { artifacts } = await readJson(join(directory, "manifest.json"), Manifest);
  const assets = new Assets();
  const stacks = new Map<string, Stack>();
  for (const [id, artifact] of Object.entries(artifacts)) {
    if (artifact.type === "aws:cloudformation:stack") {
      const { templateFile, stackName } = StackProperties.parse(artifact.properties);
      const template = await readJson(join(directory, templateFile), TemplateSchema);
      stacks.set(id, { name: stackName ?? id, template });
    } else if (artifact.type === "cdk:asset-manifest") {
      const { file } = AssetManifestProperties.parse(artifact.properties);
      await assets.addManifest(resolve(directory), file);
    } else if (!DESCRIPTIVE.includes(artifact.type)) {
      throw new AssemblyError(
        `artifact ${id} has type ${artifact.type}, which the embedded cloud cannot run`,
      );
    }
  }
  const order = inDependencyOrder([...stacks.keys()], (id) => artifacts[id]?.dependencies ?? []);
  return { assets, stacks: order.flatMap((id) => stacks.get(id) ?? []) };
}
