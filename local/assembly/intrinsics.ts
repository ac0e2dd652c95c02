import { ACCOUNT_ID, type ProvisionedResource, REGION } from "../core/service.ts";
import { AssemblyError } from "./assembly-error.ts";
import { SUB_VARIABLE, type Template } from "./template.ts";

/** Outputs of the stacks deployed so far, which later stacks can import. */
export interface SharedOutputs {
  exports: Map<string, unknown>;
  /** Outputs by stack name, then output name. */
  stacks: Map<string, Record<string, unknown>>;
}

/** Represents `AWS::NoValue`: a property or list item with this value is dropped. */
const NO_VALUE = Symbol("AWS::NoValue");

/** Resolves the intrinsic functions in one stack's template while its resources are created. */
export class Intrinsics {
  readonly #stack: string;
  readonly #template: Template;
  readonly #shared: SharedOutputs;
  readonly #resources = new Map<string, ProvisionedResource>();

  constructor(stack: string, template: Template, shared: SharedOutputs) {
    this.#stack = stack;
    this.#template = template;
    this.#shared = shared;
  }

  /** Makes a provisioned resource available to `Ref` and `Fn::GetAtt`. */
  define(logicalId: string, resource: ProvisionedResource): void {
    this.#resources.set(logicalId, resource);
  }

  /** Returns the value with every intrinsic replaced. Errors name `where`, a logical id. */
  resolve(value: unknown, where: string): unknown {
    const resolved = this.#resolve(value, where);
    return resolved === NO_VALUE ? undefined : resolved;
  }

  /** Returns whether the condition with this name is true. */
  condition(name: string, where: string): boolean {
    const condition = this.#template.Conditions[name];
    if (condition === undefined) throw this.#error(where, `unknown condition ${name}`);
    return this.#test(condition, where);
  }

  #resolve(value: unknown, where: string): unknown {
    if (Array.isArray(value)) {
      return value.map((item) => this.#resolve(item, where)).filter((item) => item !== NO_VALUE);
    }
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value);
    const [first] = entries;
    if (first && entries.length === 1 && isIntrinsic(first[0])) return this.#call(first[0], first[1], where);
    const resolved = entries.map(([key, inner]) => [key, this.#resolve(inner, where)] as const);
    return Object.fromEntries(resolved.filter(([, inner]) => inner !== NO_VALUE));
  }

  #call(name: string, argument: unknown, where: string): unknown {
    switch (name) {
      case "Ref":
        return this.#ref(String(argument), where);
      case "Fn::GetAtt":
        return this.#getAtt(argument, where);
      case "Fn::Sub":
        return this.#sub(argument, where);
      case "Fn::Join": {
        const [separator, items] = this.#list(argument, where, 2);
        return this.#items(items, where, name)
          .map((item) => this.#text(item, where, name))
          .join(String(separator));
      }
      case "Fn::Select": {
        const [index, items] = this.#list(argument, where, 2);
        const item = this.#items(items, where, name)[Number(index)];
        if (item === undefined) throw this.#error(where, `Fn::Select has no item ${String(index)}`);
        return item;
      }
      case "Fn::Split": {
        const [separator, text] = this.#list(argument, where, 2);
        return this.#text(text, where, name).split(String(separator));
      }
      case "Fn::Base64":
        return Buffer.from(this.#text(this.#resolve(argument, where), where, name)).toString("base64");
      case "Fn::If": {
        const [condition, yes, no] = rawList(argument);
        return this.#resolve(this.condition(String(condition), where) ? yes : no, where);
      }
      case "Fn::FindInMap":
        return this.#findInMap(argument, where);
      case "Fn::ImportValue": {
        const exported = this.#text(this.#resolve(argument, where), where, name);
        return this.#known(this.#shared.exports.get(exported), where, `no stack exports ${exported}`);
      }
      case "Fn::GetStackOutput":
        return this.#stackOutput(argument, where);
      default:
        throw this.#error(where, `the embedded cloud does not support the intrinsic function ${name}`);
    }
  }

  #ref(name: string, where: string): unknown {
    const pseudo = this.#pseudoParameter(name);
    if (pseudo !== undefined) return pseudo;
    const parameter = this.#template.Parameters[name];
    if (!parameter) return this.#resource(name, where).ref;
    if (parameter.Type.startsWith("AWS::SSM::")) {
      throw this.#error(
        where,
        `parameter ${name} reads Systems Manager, which the embedded cloud does not have`,
      );
    }
    return this.#known(parameter.Default, where, `parameter ${name} has no default`);
  }

  #pseudoParameter(name: string): unknown {
    switch (name) {
      case "AWS::Region":
        return REGION;
      case "AWS::AccountId":
        return ACCOUNT_ID;
      case "AWS::Partition":
        return "aws";
      case "AWS::URLSuffix":
        return "amazonaws.com";
      case "AWS::StackName":
        return this.#stack;
      case "AWS::StackId":
        return `arn:aws:cloudformation:${REGION}:${ACCOUNT_ID}:stack/${this.#stack}/embedded`;
      case "AWS::NoValue":
        return NO_VALUE;
      default:
        return undefined;
    }
  }

  #resource(logicalId: string, where: string): ProvisionedResource {
    const resource = this.#resources.get(logicalId);
    if (!resource) throw this.#error(where, `refers to ${logicalId}, which is not created`);
    return resource;
  }

  #getAtt(argument: unknown, where: string): unknown {
    const [logicalId = "", ...rest] = Array.isArray(argument)
      ? argument.map(String)
      : String(argument).split(".");
    const attribute = rest.join(".");
    return this.#known(
      this.#resource(logicalId, where).attributes[attribute],
      where,
      `${logicalId} (${this.#template.Resources[logicalId]?.Type}) has no attribute ${attribute}`,
    );
  }

  #sub(argument: unknown, where: string): string {
    const [text, variables] = Array.isArray(argument) ? argument : [argument, {}];
    const own = new Map(Object.entries((variables ?? {}) as Record<string, unknown>));
    return String(text).replaceAll(SUB_VARIABLE, (_, name: string) => {
      if (name.startsWith("!")) return `\${${name.slice(1)}}`;
      if (own.has(name)) return this.#text(this.#resolve(own.get(name), where), where, "Fn::Sub");
      const value = name.includes(".") ? this.#getAtt(name, where) : this.#ref(name, where);
      return this.#text(value, where, "Fn::Sub");
    });
  }

  #findInMap(argument: unknown, where: string): unknown {
    const [map, top, second, options] = this.#list(argument, where, 3);
    const found = this.#template.Mappings[String(map)]?.[String(top)]?.[String(second)];
    const fallback = (options as { DefaultValue?: unknown } | undefined)?.DefaultValue;
    return this.#known(
      found ?? fallback,
      where,
      `no mapping ${String(map)}.${String(top)}.${String(second)}`,
    );
  }

  #stackOutput(argument: unknown, where: string): unknown {
    const { StackName, OutputName, Region } = this.#resolve(argument, where) as Record<string, unknown>;
    if (Region !== undefined && Region !== REGION) {
      throw this.#error(where, `Fn::GetStackOutput of another region (${String(Region)})`);
    }
    const output = this.#shared.stacks.get(String(StackName))?.[String(OutputName)];
    return this.#known(output, where, `stack ${String(StackName)} has no output ${String(OutputName)}`);
  }

  #test(condition: unknown, where: string): boolean {
    const [name, argument] = Object.entries((condition ?? {}) as Record<string, unknown>)[0] ?? ["nothing"];
    switch (name) {
      case "Condition":
        return this.condition(String(argument), where);
      case "Fn::Equals": {
        const [left, right] = this.#list(argument, where, 2);
        return JSON.stringify(left) === JSON.stringify(right);
      }
      case "Fn::Not":
        return !rawList(argument).every((inner) => this.#test(inner, where));
      case "Fn::And":
        return rawList(argument).every((inner) => this.#test(inner, where));
      case "Fn::Or":
        return rawList(argument).some((inner) => this.#test(inner, where));
      default:
        throw this.#error(where, `the embedded cloud does not support the condition function ${name}`);
    }
  }

  #list(argument: unknown, where: string, atLeast: number): unknown[] {
    const list = rawList(argument).map((item) => this.#resolve(item, where));
    if (list.length < atLeast) throw this.#error(where, `an intrinsic function lacks arguments`);
    return list;
  }

  #items(value: unknown, where: string, name: string): unknown[] {
    if (!Array.isArray(value)) throw this.#error(where, `${name} needs a list`);
    return value;
  }

  #text(value: unknown, where: string, name: string): string {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      return String(value);
    throw this.#error(where, `${name} needs a string, not ${JSON.stringify(value)}`);
  }

  #known(value: unknown, where: string, complaint: string): unknown {
    if (value === undefined) throw this.#error(where, complaint);
    return value;
  }

  #error(where: string, complaint: string): AssemblyError {
    return new AssemblyError(`${this.#stack}/${where}: ${complaint}`);
  }
}

function isIntrinsic(key: string): boolean {
  return key === "Ref" || key.startsWith("Fn::");
}

function rawList(argument: unknown): unknown[] {
  return Array.isArray(argument) ? argument : [];
}
