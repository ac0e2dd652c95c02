/** For tests: an enrolled device and its connections. */
import { generateKeyPairSync, webcrypto } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateThingCommand,
} from "@aws-sdk/client-iot";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { TestCloud } from "./cloud.ts";
import { createRequest } from "./csr.ts";

export interface TestDevice {
  name: string;
  key: string;
  certificatePem: string;
  certificateId: string;
  certificateArn: string;
}

/** Does what the control plane does to enrol a device: thing, certificate, policy. */
export async function enrol(cloud: TestCloud, name: string, policyName = "device"): Promise<TestDevice> {
  const { key, csr } = await newKeyAndCsr(name);
  const iot = cloud.iot();
  await iot.send(new CreateThingCommand({ thingName: name }));
  const issued = await iot.send(
    new CreateCertificateFromCsrCommand({ certificateSigningRequest: csr, setAsActive: true }),
  );
  const { certificateArn = "", certificateId = "", certificatePem = "" } = issued;
  await iot.send(new AttachPolicyCommand({ policyName, target: certificateArn }));
  await iot.send(new AttachThingPrincipalCommand({ thingName: name, principal: certificateArn }));
  return { name, key, certificatePem, certificateId, certificateArn };
}

export async function newKeyAndCsr(commonName: string): Promise<{ key: string; csr: string }> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const imported = await webcrypto.subtle.importKey(
    "pkcs8",
    privateKey.export({ type: "pkcs8", format: "der" }),
    { name: "ECDSA", namedCurve: "P-256" },
    true,
    ["sign"],
  );
  return { key, csr: await createRequest(commonName, imported) };
}

/** A connected client that does not reconnect by itself. */
export class TestConnection implements AsyncDisposable {
  readonly client: MqttClient;
  sessionPresent = false;
  readonly messages: { topic: string; payload: string; duplicate: boolean }[] = [];
  #closed = false;
  #waiting: (() => void)[] = [];

  private constructor(client: MqttClient) {
    this.client = client;
    client.on("message", (topic, payload, packet) => {
      this.messages.push({ topic, payload: payload.toString(), duplicate: packet.dup });
      this.#notify();
    });
    client.on("close", () => {
      this.#closed = true;
      this.#notify();
    });
    client.on("error", () => this.#notify());
  }

  /** Resolves once the broker has also announced the connection. Rejects if the broker refuses it. */
  static async open(
    cloud: TestCloud,
    device: Pick<TestDevice, "name" | "key" | "certificatePem">,
    options: IClientOptions = {},
  ): Promise<TestConnection> {
    const announced = () => cloud.events().filter((event) => event.eventType === "connected").length;
    const before = announced();
    const client = mqtt.connect(`mqtts://${cloud.core.endpoints().mqtt}`, {
      key: device.key,
      cert: device.certificatePem,
      ca: cloud.core.certificateAuthorityPem,
      clientId: device.name,
      protocolVersion: 4,
      reconnectPeriod: 0,
      ...options,
    });
    const connection = new TestConnection(client);
    await new Promise<void>((resolve, reject) => {
      client.once("connect", (packet) => {
        connection.sessionPresent = packet.sessionPresent;
        resolve();
      });
      client.once("error", reject);
      client.once("close", () => reject(new Error("closed before it was connected")));
    });
    await cloud.until(() => announced() > before);
    return connection;
  }

  /** Resolves with the messages once there are at least this many. */
  async received(count: number): Promise<string[]> {
    while (this.messages.length < count) {
      if (this.#closed) throw new Error(`closed after ${this.messages.length} of ${count} messages`);
      await this.#change();
    }
    return this.messages.map((message) => message.payload);
  }

  async closed(): Promise<void> {
    while (!this.#closed) await this.#change();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.client.endAsync();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** One request to the credentials provider. */
export async function getCredentials(
  cloud: TestCloud,
  device: Pick<TestDevice, "key" | "certificatePem">,
  options: { alias?: string; thingName?: string } = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { alias = "agent-data", thingName } = options;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(
      `https://${cloud.core.endpoints().credentials}/role-aliases/${alias}/credentials`,
      {
        key: device.key,
        cert: device.certificatePem,
        ca: cloud.core.certificateAuthorityPem,
        agent: false,
        headers: thingName === undefined ? {} : { "x-amzn-iot-thingname": thingName },
      },
      resolve,
    )
      .on("error", reject)
      .end();
  });
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode ?? 0, body: JSON.parse(text) };
}
