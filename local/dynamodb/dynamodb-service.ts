import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { type JsonCall, jsonErrorResponse, jsonResponse, readJsonCall } from "../core/json-protocol.ts";
import type { Authorizer, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { isOperation } from "./operations.ts";
import { tableArn } from "./table.ts";
import type { TableStore } from "./table-store.ts";

/**
 * Amazon DynamoDB on dynalite: items, queries, scans and batches, each authorized for the tables and indexes
 * that it uses.
 */
export class DynamoDbService implements Service {
  readonly name = "dynamodb";
  readonly #tables: TableStore;
  readonly #authorizer: Authorizer;

  constructor(options: { tables: TableStore; authorizer: Authorizer }) {
    this.#tables = options.tables;
    this.#authorizer = options.authorizer;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const call = await readJsonCall(request, "DynamoDB_20120810");
    if (!isOperation(call.operation)) throw new UnsupportedError(`the DynamoDB operation ${call.operation}`);
    for (const resource of resourcesOf(call)) {
      this.#authorizer.authorize(request.caller, { action: `dynamodb:${call.operation}`, resource });
    }
    return jsonResponse(await this.#tables.run(call.operation, call.input), "1.0");
  }

  renderError(error: unknown): ServiceResponse {
    return jsonErrorResponse(error, "1.0");
  }

  async close(): Promise<void> {
    await this.#tables.close();
  }
}

/** The ARNs that a call acts on: one for each table of a batch, or the index's for a query on an index. */
function resourcesOf({ operation, input }: JsonCall): string[] {
  switch (operation) {
    case "ListTables":
      return ["*"];
    case "BatchGetItem":
    case "BatchWriteItem":
      return Object.keys(input.RequestItems ?? {}).map((name) => tableArn(checkedName(name)));
    default: {
      const arn = tableArn(checkedName(input.TableName));
      return [input.IndexName === undefined ? arn : `${arn}/index/${checkedName(input.IndexName)}`];
    }
  }
}

/** Checks a name before it becomes part of an ARN that is matched against policies. */
function checkedName(name: unknown): string {
  if (typeof name === "string" && /^[\w.-]{3,255}$/.test(name)) return name;
  throw new AwsError(
    "ValidationException",
    `${JSON.stringify(name)} is not a table or index name (3 to 255 of a-z, A-Z, 0-9, _, -, .)`,
  );
}
