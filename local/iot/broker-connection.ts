import type { ConnectPacket, PublishPacket, Subscription } from "aedes";
import { type ClientStream, MAX_PAYLOAD_BYTES } from "./client-stream.ts";
import type { DeviceAccess } from "./device-access.ts";
import { iotArn, type RefusedEvent } from "./ports.ts";
import type { DisconnectReason, PresentClient } from "./presence.ts";
import { filterProblem, topicProblem } from "./topic.ts";

const ConnackCode = { identifierRejected: 2, notAuthorized: 5 };
// Narrower than MQTT, so that no client id can act as a wildcard where a policy inserts it.
const CLIENT_ID = /^[A-Za-z0-9:_.-]{1,128}$/;
const MAX_SUBSCRIPTIONS = 50;
const READABLE_SYSTEM_TOPICS = "$aws/events/";

export interface Refusal {
  reason: string;
  /** The reason that the lifecycle event will give. */
  disconnect: DisconnectReason;
}

export interface ConnectRefusal extends Refusal {
  /** The return code in the CONNACK packet. */
  code: number;
}

/** A message or a last will. */
type Message = Pick<PublishPacket, "topic" | "payload"> & Partial<Pick<PublishPacket, "qos" | "retain">>;

/** One device's connection to the broker: who it is, what it may do, and why it ended. */
export class BrokerConnection {
  readonly stream: ClientStream;
  readonly certificateId: string;
  readonly sessionId: string;
  readonly ipAddress: string;
  /** The subscriptions that the broker allowed. */
  readonly filters = new Set<string>();
  request: ConnectPacket | undefined;
  announced = false;
  finished = false;
  readonly #access: DeviceAccess;
  #ended: DisconnectReason | undefined;

  constructor(options: {
    stream: ClientStream;
    certificateId: string;
    sessionId: string;
    ipAddress: string;
    access: DeviceAccess;
  }) {
    this.stream = options.stream;
    this.certificateId = options.certificateId;
    this.sessionId = options.sessionId;
    this.ipAddress = options.ipAddress;
    this.#access = options.access;
  }

  /** Empty until the client has sent a valid client id. */
  get clientId(): string {
    const id = this.request?.clientId ?? "";
    return CLIENT_ID.test(id) ? id : "";
  }

  connectRefusal(): ConnectRefusal | undefined {
    if (this.request?.protocolVersion !== 4) {
      return { ...clientError("only MQTT 3.1.1 is spoken"), code: ConnackCode.notAuthorized };
    }
    if (this.clientId === "") {
      const code = ConnackCode.identifierRejected;
      return { ...clientError(`the client id does not match ${CLIENT_ID.source}`), code };
    }
    const { will } = this.request;
    const refusal =
      this.#policyRefusal("iot:Connect", iotArn("client", this.clientId)) ??
      (will && this.publishRefusal(will));
    return refusal && { ...refusal, code: ConnackCode.notAuthorized };
  }

  publishRefusal(packet: Message): Refusal | undefined {
    const { topic, payload, qos, retain } = packet;
    if (qos === 2) return clientError("there is no QoS 2");
    if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
      return clientError(`the payload is over ${MAX_PAYLOAD_BYTES} bytes`);
    }
    const problem = topicProblem(topic);
    if (problem) return clientError(`this is no topic to publish on: ${problem}`);
    const refusal = this.#policyRefusal("iot:Publish", iotArn("topic", topic));
    return refusal ?? (retain ? clientError("retained messages are not supported") : undefined);
  }

  subscribeRefusal({ topic, qos }: Pick<Subscription, "topic" | "qos">): Refusal | undefined {
    if (qos === 2) return clientError("there is no QoS 2");
    const problem = filterProblem(topic);
    if (problem) return clientError(`this is not a topic filter: ${problem}`);
    if (topic.startsWith("$") && !topic.startsWith(READABLE_SYSTEM_TOPICS)) {
      return clientError(
        `of the topics with $, only those under ${READABLE_SYSTEM_TOPICS} can be subscribed to`,
      );
    }
    if (this.filters.size >= MAX_SUBSCRIPTIONS && !this.filters.has(topic)) {
      return clientError(`a connection has at most ${MAX_SUBSCRIPTIONS} subscriptions`);
    }
    return this.#policyRefusal("iot:Subscribe", iotArn("topicfilter", topic));
  }

  receiveRefusal(topic: string): string | undefined {
    return this.#policyRefusal("iot:Receive", iotArn("topic", topic))?.reason;
  }

  /** Records why the connection ends. Only the first reason counts. Returns whether this is the first. */
  end(reason: DisconnectReason): boolean {
    if (this.#ended) return false;
    this.#ended = reason;
    return true;
  }

  disconnectReason(): DisconnectReason {
    if (this.#ended) return this.#ended;
    return this.stream.saidGoodbye ? "CLIENT_INITIATED_DISCONNECT" : "CONNECTION_LOST";
  }

  present(): PresentClient {
    const { clientId, certificateId, sessionId, ipAddress } = this;
    return { clientId, certificateId, sessionId, ipAddress };
  }

  describe(): Pick<RefusedEvent, "certificateId" | "clientId" | "ipAddress"> {
    const { certificateId, ipAddress, clientId } = this;
    return { certificateId, ipAddress, ...(clientId && { clientId }) };
  }

  #policyRefusal(action: string, resource: string): Refusal | undefined {
    const { certificateId, clientId } = this;
    const reason = this.#access.refusal({ certificateId, clientId }, action, resource);
    return reason === undefined ? undefined : { reason, disconnect: "AUTH_ERROR" };
  }
}

function clientError(reason: string): Refusal {
  return { reason, disconnect: "CLIENT_ERROR" };
}
