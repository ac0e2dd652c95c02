import { UnsupportedError } from "../core/aws-error.ts";
import { element, queryErrorResponse, queryResponse, readQueryCall } from "../core/query-protocol.ts";
import type { Authorizer, Caller, Clock, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { parsePublish } from "./publish-input.ts";
import type { Topics } from "./topics.ts";

/** AWS SNS over the query protocol: `Publish` to a topic. Topics come from templates. */
export class SnsService implements Service {
  readonly name = "sns";
  readonly #topics: Topics;
  readonly #authorizer: Authorizer;
  readonly #clock: Clock;
  readonly #newId: () => string;

  constructor(options: { topics: Topics; authorizer: Authorizer; clock: Clock; newId: () => string }) {
    this.#topics = options.topics;
    this.#authorizer = options.authorizer;
    this.#clock = options.clock;
    this.#newId = options.newId;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const { action, input } = await readQueryCall(request);
    if (action !== "Publish") throw new UnsupportedError(`the SNS action ${action}`);
    return queryResponse(NAMESPACE, action, this.#publish(request.caller, input));
  }

  renderError(error: unknown): ServiceResponse {
    return queryErrorResponse(NAMESPACE, error, QUERY_CODES);
  }

  async close(): Promise<void> {}

  #publish(caller: Caller, input: Record<string, string>): string {
    const { topicArn, ...message } = parsePublish(input);
    const policy = this.#topics.find(topicArn)?.policy;
    // First, so that a caller without the right does not learn which topics there are.
    this.#authorizer.authorize(caller, {
      action: "sns:Publish",
      resource: topicArn,
      ...(policy && { resourcePolicy: policy }),
    });
    const topic = this.#topics.get(topicArn);
    const id = this.#newId();
    this.#topics.publish(topic, { id, at: this.#clock.now(), ...message });
    return element("MessageId", id);
  }
}

const NAMESPACE = "https://sns.amazonaws.com/doc/2010-03-31/";

/** SNS's names for the errors that all services share. */
const QUERY_CODES = new Map<string, readonly [string, number]>([
  ["AccessDeniedException", ["AuthorizationError", 403]],
  ["UnrecognizedClientException", ["InvalidClientTokenId", 403]],
  ["ExpiredTokenException", ["ExpiredToken", 403]],
  ["InvalidSignatureException", ["SignatureDoesNotMatch", 403]],
  ["InternalFailure", ["InternalError", 500]],
]);
