import { inspect } from "node:util";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { Authorizer, PolicyDocument, SessionCaller } from "../core/service.ts";
import type { Certificates } from "./certificates.ts";
import type { Policies } from "./policies.ts";
import { iotArn, type Log } from "./ports.ts";
import type { Things } from "./things.ts";

/** A device, as policies are evaluated for it. */
export interface Device {
  certificateId: string;
  /** The client id of its MQTT connection. */
  clientId?: string;
  /** The thing that it claims to be. It counts only if the certificate is attached to that thing. */
  thingName?: string;
}

/** Decides what a device may do. It uses the certificate's current status and attached policies. */
export class DeviceAccess {
  readonly #certificates: Certificates;
  readonly #things: Things;
  readonly #policies: Policies;
  readonly #authorizer: Authorizer;
  readonly #log: Log;

  constructor(options: {
    certificates: Certificates;
    things: Things;
    policies: Policies;
    authorizer: Authorizer;
    log: Log;
  }) {
    this.#certificates = options.certificates;
    this.#things = options.things;
    this.#policies = options.policies;
    this.#authorizer = options.authorizer;
    this.#log = options.log;
  }

  /**
   * Returns `undefined` if the action is allowed, otherwise the reason. Any error during the check is a
   * refusal.
   */
  refusal(device: Device, action: string, resource: string): string | undefined {
    try {
      if (!this.#certificates.isActive(device.certificateId)) return "the certificate is not active";
      this.#authorizer.authorize(this.#caller(device), { action, resource });
      return undefined;
    } catch (error) {
      if (error instanceof UnsupportedError && !this.#isAttached(device)) {
        return `the certificate is not attached to a thing ${thingNameOf(device)}: its policies do not resolve`;
      }
      if (error instanceof AwsError) return error.message;
      this.#log({
        level: "error",
        message: "a device's policies could not be evaluated",
        error: inspect(error),
      });
      return "the policies could not be evaluated";
    }
  }

  #caller(device: Device): SessionCaller {
    const { certificateId } = device;
    return {
      kind: "session",
      arn: iotArn("cert", certificateId),
      roleArn: "",
      sessionName: certificateId,
      policies: this.#certificates
        .attachedPolicies(certificateId)
        .map((name) => this.#policies.find(name))
        .filter((document): document is PolicyDocument => document !== undefined),
      context: this.#context(device),
    };
  }

  #context(device: Device): Record<string, string> {
    const { clientId } = device;
    const attached = this.#isAttached(device);
    const context: Record<string, string> = { "iot:Connection.Thing.IsAttached": String(attached) };
    if (clientId !== undefined) context["iot:ClientId"] = clientId;
    if (!attached) return context;
    const thing = this.#things.describe(thingNameOf(device));
    context["iot:Connection.Thing.ThingName"] = thing.name;
    for (const [name, value] of Object.entries(thing.attributes)) {
      context[`iot:Connection.Thing.Attributes[${name}]`] = value;
    }
    return context;
  }

  #isAttached(device: Device): boolean {
    return this.#things.isAttached(thingNameOf(device), device.certificateId);
  }
}

/**
 * As with AWS's non-exclusive attachment, over MQTT the client id names the thing. Returns "" if no thing is
 * named.
 */
function thingNameOf({ clientId, thingName }: Device): string {
  return thingName ?? clientId ?? "";
}
