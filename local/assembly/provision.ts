import type { ProvisionedResource, ResourceProvider } from "../core/service.ts";
import { AssemblyError } from "./assembly-error.ts";
import type { CloudAssembly, Stack } from "./cloud-assembly.ts";
import { inDependencyOrder } from "./dependency-order.ts";
import { generatedName } from "./generated-name.ts";
import { Intrinsics, type SharedOutputs } from "./intrinsics.ts";
import { referencesIn, type TemplateResource } from "./template.ts";

/** The result of provisioning one stack. */
export interface ProvisionedStack {
  outputs: Record<string, string>;
  /** By logical id. */
  resources: Record<string, ProvisionedResource>;
}

/** Resource types that only describe the app. */
const IGNORED_TYPES = new Set(["AWS::CDK::Metadata"]);

/**
 * Creates or updates every resource of the assembly, stack by stack and in dependency order, and returns the
 * stacks by name. Before it changes anything, it refuses an assembly with unsupported resource types. The
 * error lists all of them.
 */
export async function provisionAssembly(
  assembly: Pick<CloudAssembly, "stacks">,
  providers: readonly ResourceProvider[],
): Promise<Map<string, ProvisionedStack>> {
  const byType = providersByType(providers);
  refuseUnknownTypes(assembly.stacks, byType);
  const shared: SharedOutputs = { exports: new Map(), stacks: new Map() };
  const provisioned = new Map<string, ProvisionedStack>();
  for (const stack of assembly.stacks) {
    provisioned.set(stack.name, await provisionStack(stack, byType, shared));
  }
  return provisioned;
}

async function provisionStack(
  stack: Stack,
  byType: ReadonlyMap<string, ResourceProvider>,
  shared: SharedOutputs,
): Promise<ProvisionedStack> {
  const { name, template } = stack;
  const intrinsics = new Intrinsics(name, template, shared);
  const resources: Record<string, ProvisionedResource> = {};
  for (const [logicalId, resource] of wantedResources(stack, intrinsics)) {
    const properties = intrinsics.resolve(resource.Properties ?? {}, logicalId) as Record<string, unknown>;
    const provider = byType.get(resource.Type);
    if (!provider) throw new AssemblyError(`${name}/${logicalId}: no provider for ${resource.Type}`);
    const created = await provider
      .provision({
        type: resource.Type,
        stack: name,
        logicalId,
        properties,
        generatedName: generatedName(name, logicalId),
      })
      .catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new AssemblyError(`${name}/${logicalId} (${resource.Type}): ${reason}`, { cause });
      });
    resources[logicalId] = created;
    intrinsics.define(logicalId, created);
  }
  return { outputs: publishOutputs(stack, intrinsics, shared), resources };
}

function wantedResources({ name, template }: Stack, intrinsics: Intrinsics): [string, TemplateResource][] {
  const wanted = Object.entries(template.Resources).filter(
    ([logicalId, { Type, Condition }]) =>
      !IGNORED_TYPES.has(Type) && (Condition === undefined || intrinsics.condition(Condition, logicalId)),
  );
  const byId = new Map(wanted);
  const order = inDependencyOrder([...byId.keys()], (logicalId) => {
    const { Properties, DependsOn = [] } = byId.get(logicalId) ?? {};
    return [...referencesIn(Properties), ...[DependsOn].flat()];
  });
  return order.map((logicalId) => {
    const resource = byId.get(logicalId);
    if (!resource) throw new AssemblyError(`${name}/${logicalId}: ordered but not declared`);
    return [logicalId, resource];
  });
}

function publishOutputs(stack: Stack, intrinsics: Intrinsics, shared: SharedOutputs): Record<string, string> {
  const values: Record<string, unknown> = {};
  for (const [name, output] of Object.entries(stack.template.Outputs)) {
    if (output.Condition !== undefined && !intrinsics.condition(output.Condition, name)) continue;
    const value = intrinsics.resolve(output.Value, name);
    values[name] = value;
    if (output.Export) shared.exports.set(String(intrinsics.resolve(output.Export.Name, name)), value);
  }
  shared.stacks.set(stack.name, values);
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

function providersByType(providers: readonly ResourceProvider[]): Map<string, ResourceProvider> {
  const byType = new Map<string, ResourceProvider>();
  for (const provider of providers) {
    for (const type of provider.types) {
      if (byType.has(type)) throw new AssemblyError(`two providers for ${type}`);
      byType.set(type, provider);
    }
  }
  return byType;
}

function refuseUnknownTypes(stacks: readonly Stack[], byType: ReadonlyMap<string, ResourceProvider>): void {
  const unknown = stacks.flatMap(({ name, template }) =>
    Object.entries(template.Resources)
      .filter(([, { Type }]) => !byType.has(Type) && !IGNORED_TYPES.has(Type))
      .map(([logicalId, { Type }]) => `${Type} (${name}/${logicalId})`),
  );
  if (unknown.length > 0) {
    throw new AssemblyError(`the embedded cloud does not support these resources: ${unknown.join(", ")}`);
  }
}
