import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  ExecutionDoesNotExist,
  type SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import type { Workflow } from "../ports.ts";

/** One state machine of Step Functions. */
export class SfnWorkflow implements Workflow {
  readonly #client: SFNClient;
  readonly #stateMachineArn: string;

  constructor(client: SFNClient, stateMachineArn: string) {
    this.#client = client;
    this.#stateMachineArn = stateMachineArn;
  }

  async start(name: string, input: unknown): Promise<"started" | "exists"> {
    const stateMachineArn = this.#stateMachineArn;
    try {
      await this.#client.send(
        new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }),
      );
      return "started";
    } catch (error) {
      if (error instanceof ExecutionAlreadyExists) return "exists";
      throw error;
    }
  }

  async isRunning(name: string): Promise<boolean> {
    const executionArn = this.#executionArn(name);
    try {
      const { status } = await this.#client.send(new DescribeExecutionCommand({ executionArn }));
      return status === "RUNNING" || status === "PENDING_REDRIVE";
    } catch (error) {
      if (error instanceof ExecutionDoesNotExist) return false;
      throw error;
    }
  }

  async stop(name: string): Promise<void> {
    try {
      await this.#client.send(new StopExecutionCommand({ executionArn: this.#executionArn(name) }));
    } catch (error) {
      if (!(error instanceof ExecutionDoesNotExist)) throw error;
    }
  }

  #executionArn(name: string): string {
    return `${this.#stateMachineArn.replace(":stateMachine:", ":execution:")}:${name}`;
  }
}
