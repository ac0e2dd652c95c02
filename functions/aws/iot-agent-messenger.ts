import { type IoTDataPlaneClient, PublishCommand } from "@aws-sdk/client-iot-data-plane";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";
import { commandsTopic } from "#shared/protocol/topics.ts";
import type { AgentMessenger } from "../ports.ts";

/** Messages to agents over IoT Core. */
export class IotAgentMessenger implements AgentMessenger {
  readonly #client: IoTDataPlaneClient;

  constructor(client: IoTDataPlaneClient) {
    this.#client = client;
  }

  async send(agentId: string, message: SignedMessage): Promise<void> {
    const payload = Buffer.from(JSON.stringify(message));
    await this.#client.send(new PublishCommand({ topic: commandsTopic(agentId), qos: 1, payload }));
  }
}
