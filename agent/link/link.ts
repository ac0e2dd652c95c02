import { once } from "node:events";
import { connect, type MqttClient } from "mqtt";
import { CertificateRevokedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { AgentEvent, AgentMessage } from "#shared/protocol/events.ts";
import { fitEvent } from "#shared/protocol/fit-event.ts";
import { encodeMessage } from "#shared/protocol/message-size.ts";
import { commandsTopic, eventsTopic } from "#shared/protocol/topics.ts";
import { backoffMs } from "#shared/retry.ts";
import { endpointOf } from "../identity/endpoint.ts";
import type { Identity } from "../identity/identity.ts";

export interface LinkOptions {
  identity: Identity;
  log: Log;
  /** From 0 to 1: spreads the reconnects of many agents after an outage. */
  random: () => number;
  /** Called after every connect, once commands can arrive. */
  onConnected: () => void;
  /** Gets parsed JSON, from anyone who may publish on the topic. */
  onMessage: (payload: unknown) => void;
  /**
   * Asks whether the control plane refuses this agent permanently; called after several failed connections.
   */
  isRevoked: () => Promise<boolean>;
}

/** After this many failed connections in a row, the agent asks whether it was revoked. */
const FAILURES_BEFORE_ASKING = 3;

/**
 * The agent's connection to the control plane: MQTT over mutual TLS, re-established without limit. It stores
 * nothing: the command journal here and the control plane there keep what must not be lost.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #stopped = new AbortController();
  #client: MqttClient | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#client?.connected ?? false;
  }

  /** Runs until `stop`; throws `CertificateRevokedError` if the agent's certificate has been revoked. */
  async run(): Promise<void> {
    const { log, random, isRevoked } = this.#options;
    for (let failures = 0; !this.#stopped.signal.aborted; ) {
      const lasted = await this.#connectOnce();
      if (this.#stopped.signal.aborted) return;
      failures = lasted ? 0 : failures + 1;
      if (failures > 0 && failures % FAILURES_BEFORE_ASKING === 0 && (await isRevoked()))
        throw new CertificateRevokedError();
      const delayMs = backoffMs(failures, random());
      log.info("link down, reconnecting", { delayMs });
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, delayMs)),
        once(this.#stopped.signal, "abort"),
      ]);
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#client?.endAsync(true);
  }

  /**
   * Resolves once the broker has the event, shortened if it is too large (see `fitEvent`). Rejects if the
   * broker does not confirm in time, as when the link is down. Then the connection is replaced; after that
   * the control plane asks again for whatever it has not received.
   */
  async publish(event: AgentEvent): Promise<void> {
    const client = this.#client;
    if (!client?.connected) throw new LinkDownError();
    const message: AgentMessage = { event: fitEvent(event) };
    const payload = encodeMessage(message, `the event ${event.type}`);
    const sent = client.publishAsync(eventsTopic(this.#agentId), payload, { qos: 1 });
    const timer = setTimeout(() => {
      this.#options.log.warn("the broker does not confirm", { type: event.type });
      client.end(true);
    }, PUBLISH_TIMEOUT_MS);
    try {
      await sent;
    } catch (cause) {
      throw new LinkDownError(undefined, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  get #agentId(): string {
    return this.#options.identity.enrolment.agentId;
  }

  /** One connection from start to end; resolves with whether it was established. */
  async #connectOnce(): Promise<boolean> {
    const { identity, log } = this.#options;
    const { host, port } = endpointOf(identity.enrolment.mqttEndpoint, 8883);
    const client = connect({
      protocol: "mqtts",
      protocolVersion: 4,
      host,
      port,
      clientId: this.#agentId,
      key: identity.keyPem,
      cert: identity.enrolment.certificatePem,
      ...(identity.tlsServerName ? { servername: identity.tlsServerName } : {}),
      ...(identity.enrolment.caPem ? { ca: identity.enrolment.caPem } : {}),
      clean: true,
      keepalive: 30,
      connectTimeout: 15_000,
      reconnectPeriod: 0,
      queueQoSZero: false,
      resubscribe: false,
    });
    this.#client = client;
    let established = false;
    client.on("message", (_topic, payload) => this.#receive(payload));
    client.on("error", (error) => log.warn("link error", { error: error.message }));
    client.on("connect", () => {
      client.subscribe(commandsTopic(this.#agentId), { qos: 1 }, (error) => {
        if (error) {
          log.error("cannot receive commands", { error: error.message });
          client.end(true);
          return;
        }
        established = true;
        log.info("connected", { host, port });
        this.#options.onConnected();
      });
    });
    await new Promise<void>((resolve) => client.once("close", () => resolve()));
    client.removeAllListeners("message");
    client.end(true);
    return established;
  }

  #receive(payload: Buffer): void {
    let json: unknown;
    try {
      json = JSON.parse(payload.toString("utf8"));
    } catch {
      this.#options.log.warn("message is not JSON", { bytes: payload.length });
      return;
    }
    this.#options.onMessage(json);
  }
}

const PUBLISH_TIMEOUT_MS = 20_000;

/** There is no connection at the moment. */
export class LinkDownError extends Error {
  override readonly name = "LinkDownError";
}
