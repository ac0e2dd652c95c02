import type { EventEmitter } from "node:events";
import type { DatabaseSync } from "node:sqlite";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { Aedes, type AuthenticateError, type Client, type PublishPacket, type Subscription } from "aedes";
import type { Clock } from "../core/service.ts";
import { BrokerConnection } from "./broker-connection.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { Certificates } from "./certificates.ts";
import { ClientStream } from "./client-stream.ts";
import type { DeviceAccess } from "./device-access.ts";
import type { MessageFaults } from "./faults.ts";
import { listen, mutualTlsOptions, peerCertificateId } from "./mutual-tls.ts";
import type { Log, OnRefused, RefusedEvent } from "./ports.ts";
import { type DisconnectReason, Presence } from "./presence.ts";
import type { RuleMessage, Rules } from "./rules.ts";
import { Sessions } from "./sessions.ts";

export interface BrokerOptions {
  database: DatabaseSync;
  authority: CertificateAuthority;
  certificates: Certificates;
  access: DeviceAccess;
  rules: Rules;
  clock: Clock;
  newId: () => string;
  log: Log;
  onRefused: OnRefused;
  /** Names and addresses under which clients reach the broker. Its certificate contains them. */
  hosts: string[];
  /** Called for each message that AWS charges for, with its size in bytes. */
  onMessage?: (bytes: number) => void;
  faults?: MessageFaults;
}

/** The range of a client's keep-alive, in seconds. AWS IoT clamps other values to it. 0 means the longest. */
const KEEP_ALIVE = { min: 30, max: 1200 };
const MAX_CONNECTIONS = 1000;

/**
 * The MQTT 3.1.1 broker: TLS with client certificates, AWS IoT's policies and limits, one connection per
 * client id, persistent sessions. It also runs the topic rules on every message that it accepts.
 */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #sessions: Sessions;
  readonly #presence: Presence;
  readonly #connections = new Set<BrokerConnection>();
  readonly #byClient = new WeakMap<Client, BrokerConnection>();
  /** The one connection of each client id. */
  readonly #current = new Map<string, BrokerConnection>();
  #closing = false;
  #engine: Aedes | undefined;
  #server: Server | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { database, clock, log } = options;
    this.#sessions = new Sessions({
      database,
      clock,
      log,
      mayKeep: (clientId, filter) => this.#current.get(clientId)?.filters.has(filter) ?? false,
    });
    this.#presence = new Presence({
      database,
      clock,
      publish: (topic, payload) => this.#publishOwn({ topic, payload }, 0),
    });
    options.certificates.onDeactivated((certificateId) => this.#cut(certificateId));
  }

  /** Listens and returns the port. */
  async start(port: number, host: string): Promise<number> {
    this.#engine = await this.#createEngine();
    this.#presence.recover();
    const server = createServer(await mutualTlsOptions(this.#options.authority, this.#options.hosts));
    server.maxConnections = MAX_CONNECTIONS;
    server.on("secureConnection", (socket) => this.#accept(socket));
    server.on("tlsClientError", (error, socket) => {
      this.#refused({ kind: "tls", reason: error.message, ipAddress: socket.remoteAddress ?? "" });
    });
    this.#server = server;
    return listen(server, port, host);
  }

  /** Publishes a message from a service to subscribers and rules. */
  publish(message: RuleMessage, qos: 0 | 1): void {
    this.#publishOwn(message, qos);
  }

  /**
   * Ends all connections. The next start announces their clients as disconnected, because by now the
   * receivers of that event may already be closed.
   */
  async close(): Promise<void> {
    this.#closing = true;
    for (const connection of this.#connections) {
      connection.finished = true;
      connection.stream.cut();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#server?.listening) this.#server.close(() => resolve());
    else resolve();
    await promise;
    await new Promise<void>((done) => (this.#engine ? this.#engine.close(done) : done()));
  }

  async #createEngine(): Promise<Aedes> {
    const engine = await Aedes.createBroker({
      persistence: this.#sessions,
      maxClientsIdLength: 128,
      preConnect: (client, packet, done) => {
        const { keepalive = 0 } = packet;
        packet.keepalive =
          keepalive === 0 ? KEEP_ALIVE.max : Math.max(KEEP_ALIVE.min, Math.min(KEEP_ALIVE.max, keepalive));
        this.#connection(client).request = packet;
        done(null, true);
      },
      authenticate: (client, _user, _password, done) => this.#authenticate(client, done),
      authorizePublish: (client, packet, done) =>
        done(client ? this.#authorizePublish(client, packet) : null),
      authorizeSubscribe: (client, subscription, done) =>
        this.#authorizeSubscribe(client, subscription, done),
      authorizeForward: (client, packet) => (this.#mayReceive(client, packet) ? packet : null),
    });
    engine.on("connackSent", ({ returnCode }, client) => {
      if (returnCode !== 0) return;
      this.#charge(1);
      this.#announce(this.#connection(client));
    });
    engine.on("ack", () => this.#charge(1));
    engine.on("unsubscribe", (filters, client) => {
      for (const filter of filters) this.#connection(client).filters.delete(filter);
    });
    // Aedes' types omit this event. Without a listener it would end the process.
    (engine as EventEmitter).on("error", (error: Error) => {
      this.#options.log({ level: "error", message: "the MQTT engine failed", error: inspect(error) });
    });
    engine.on("keepaliveTimeout", (client) => this.#connection(client).end("MQTT_KEEP_ALIVE_TIMEOUT"));
    engine.on("clientError", (client, error) => this.#fail(client, error));
    engine.on("connectionError", (client, error) => this.#fail(client, error));
    return engine;
  }

  #accept(socket: TLSSocket): void {
    const { clock, faults, newId } = this.#options;
    const stream = new ClientStream(socket, { clock, ...(faults && { faults }) });
    const connection = new BrokerConnection({
      stream,
      certificateId: peerCertificateId(socket),
      sessionId: newId(),
      ipAddress: socket.remoteAddress ?? "",
      access: this.#options.access,
    });
    this.#connections.add(connection);
    stream.once("close", () => {
      this.#connections.delete(connection);
      this.#finish(connection);
    });
    if (this.#engine) this.#byClient.set(this.#engine.handle(stream), connection);
  }

  #authenticate(
    client: Client,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): void {
    const connection = this.#connection(client);
    const refusal = connection.connectRefusal();
    if (refusal) {
      connection.end(refusal.disconnect);
      this.#refused({ ...connection.describe(), kind: "connect", reason: refusal.reason });
      if (refusal.disconnect === "AUTH_ERROR") this.#presence.connectFailed(connection.present());
      done(Object.assign(new Error(refusal.reason), { returnCode: refusal.code }), false);
      return;
    }
    connection.stream.clientId = connection.clientId;
    const former = this.#current.get(connection.clientId);
    if (former) {
      former.end("DUPLICATE_CLIENTID");
      this.#finish(former);
      former.stream.cut();
    }
    this.#current.set(connection.clientId, connection);
    this.#sessions.begin(connection.clientId, connection.request?.clean === false);
    done(null, true);
  }

  #authorizePublish(client: Client, packet: PublishPacket): Error | null {
    // These are the last wills of connections that `close` ends.
    if (this.#closing) return new Error("the broker is closing");
    const connection = this.#connection(client);
    const refusal = connection.publishRefusal(packet);
    if (refusal) return this.#refuse(connection, "publish", packet.topic, refusal);
    const { clientId, certificateId } = connection;
    const payload = Buffer.from(packet.payload);
    this.#charge(payload.length + packet.topic.length);
    this.#options.rules.dispatch({ topic: packet.topic, payload, clientId, principal: certificateId });
    return null;
  }

  #authorizeSubscribe(
    client: Client,
    subscription: Subscription,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): void {
    const connection = this.#connection(client);
    const { topic } = subscription;
    const refusal = connection.subscribeRefusal(subscription);
    if (!refusal) {
      connection.filters.add(topic);
      this.#charge(topic.length);
      done(null, subscription);
    } else if (connection.announced) {
      done(this.#refuse(connection, "subscribe", topic, refusal), null);
    } else {
      // The policy was narrowed after this session began. The session continues without this part, so that
      // its client is not locked out.
      this.#refused({ ...connection.describe(), kind: "subscribe", reason: refusal.reason, resource: topic });
      this.#sessions.dropSubscriptions(connection.clientId, [topic]);
      done(null, null);
    }
  }

  #mayReceive(client: Client, packet: PublishPacket): boolean {
    const connection = this.#connection(client);
    const reason = connection.receiveRefusal(packet.topic);
    if (reason) this.#refused({ ...connection.describe(), kind: "receive", reason, resource: packet.topic });
    if (!reason) this.#charge(packet.payload.length + packet.topic.length);
    return reason === undefined;
  }

  #charge(bytes: number): void {
    this.#options.onMessage?.(bytes);
  }

  /**
   * An error of the MQTT engine or of the socket. Refusals arrive here too, but they were recorded before.
   */
  #fail(client: Client, error: Error): void {
    const connection = this.#connection(client);
    if (connection.end(lost(error) ? "CONNECTION_LOST" : "CLIENT_ERROR") && !lost(error)) {
      this.#refused({ ...connection.describe(), kind: "protocol", reason: error.message });
    }
  }

  /** As on AWS, a refusal within a session ends the session. */
  #refuse(
    connection: BrokerConnection,
    kind: "publish" | "subscribe",
    resource: string,
    refusal: { reason: string; disconnect: DisconnectReason },
  ): Error {
    connection.end(refusal.disconnect);
    this.#refused({ ...connection.describe(), kind, reason: refusal.reason, resource });
    return new Error(refusal.reason);
  }

  #announce(connection: BrokerConnection): void {
    if (connection.finished) return;
    connection.announced = true;
    this.#presence.connected(connection.present());
  }

  /** Forgets a connection and reports its end once. */
  #finish(connection: BrokerConnection): void {
    if (connection.finished) return;
    connection.finished = true;
    if (this.#current.get(connection.clientId) === connection) {
      this.#current.delete(connection.clientId);
      this.#sessions.end(connection.clientId);
    }
    if (connection.announced)
      this.#presence.disconnected(connection.present(), connection.disconnectReason());
  }

  #cut(certificateId: string): void {
    for (const connection of this.#connections) {
      if (connection.certificateId !== certificateId) continue;
      const reason = "the certificate is not active";
      this.#refused({ ...connection.describe(), kind: "session", reason });
      connection.end("AUTH_ERROR");
      this.#finish(connection);
      connection.stream.cut();
    }
  }

  #publishOwn(message: RuleMessage, qos: 0 | 1): void {
    this.#options.rules.dispatch(message);
    const { topic, payload } = message;
    this.#engine?.publish({ cmd: "publish", topic, payload, qos, retain: false, dup: false }, (error) => {
      if (error)
        this.#options.log({
          level: "error",
          message: "a message could not be delivered",
          topic,
          error: inspect(error),
        });
    });
  }

  #refused(event: Omit<RefusedEvent, "at">): void {
    this.#options.log({ level: "warn", message: "refused a device", ...event });
    this.#options.onRefused({ ...event, at: this.#options.clock.now() });
  }

  #connection(client: Client): BrokerConnection {
    const connection = this.#byClient.get(client);
    if (!connection) throw new Error("a client of no connection");
    return connection;
  }
}

/** True if the connection broke; false if the client violated the protocol. */
function lost(error: Error): boolean {
  return "code" in error || error.message === "connection closed" || error.message === "drain timeout";
}
