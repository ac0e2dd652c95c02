import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { endpointOf } from "#agent/identity/endpoint.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { anInventory } from "#shared/domain/testing/records.ts";
import type { Command } from "#shared/protocol/commands.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { commandKeyOf, openMessage } from "#shared/protocol/message-signature.ts";
import type { Enrolment } from "#shared/protocol/resources.ts";
import { commandsTopic, eventsTopic } from "#shared/protocol/topics.ts";
import { until } from "./until.ts";

/** An MQTT client with an agent's certificate. A test can make it do things that no agent does. */
export class Device implements AsyncDisposable {
  readonly client: MqttClient;
  /** The messages received on the agent's command topic. */
  readonly commands: Command[] = [];
  readonly #agentId: string;
  readonly #ended: Promise<void>;

  private constructor(client: MqttClient, { agentId, commandKeyPem }: Enrolment) {
    const trust = { agentId, key: commandKeyOf(commandKeyPem) };
    this.client = client;
    this.#agentId = agentId;
    this.#ended = new Promise((resolve) => client.once("close", () => resolve()));
    client.on("message", (_topic, payload) => {
      const opened = openMessage(JSON.parse(payload.toString()), trust);
      if ("problem" in opened) throw new Error(`an agent would refuse this: ${opened.problem}`);
      if (opened.message.type === "command") this.commands.push(opened.message);
    });
  }

  /** Connects, by default with the agent's own client id. Rejects if the broker refuses. */
  static async connect({ keyPem, enrolment }: Identity, options: IClientOptions = {}): Promise<Device> {
    const { agentId, mqttEndpoint, certificatePem, caPem } = enrolment;
    const { host, port } = endpointOf(mqttEndpoint, 8883);
    const client = connect({
      protocol: "mqtts",
      protocolVersion: 4,
      host,
      port,
      clientId: agentId,
      key: keyPem,
      cert: certificatePem,
      ...(caPem ? { ca: caPem } : {}),
      reconnectPeriod: 0,
      ...options,
    });
    await new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.once("error", reject);
      client.once("close", () => reject(new Error("the broker closed the connection")));
    });
    client.on("error", () => {}); // The broker ending the session is what tests wait for, by `ended`.
    return new Device(client, enrolment);
  }

  /** Resolves once the connection has ended. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /** Subscribes to commands and sends the machine's inventory, as an agent does after connecting. */
  async introduce(inventory: Partial<Inventory> = {}, change: object = {}): Promise<void> {
    await this.client.subscribeAsync(commandsTopic(this.#agentId), { qos: 1 });
    const at = new Date().toISOString();
    await this.tell({
      type: "agent-connected",
      at,
      agentVersion: "0.0.0",
      inventory: anInventory(inventory),
      ...change,
    });
  }

  /** Publishes an event as this agent. `beside` has further fields of the payload. */
  async tell(event: object, beside: object = {}): Promise<void> {
    const payload = JSON.stringify({ ...beside, event });
    await this.client.publishAsync(eventsTopic(this.#agentId), payload, { qos: 1 });
  }

  /** Waits for the first command of a kind. */
  command(kind: string): Promise<Command> {
    return until(`a command ${kind}`, () => this.commands.find((command) => command.kind === kind));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true);
  }
}
