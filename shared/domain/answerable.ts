import { InvalidInputError } from "../errors.ts";
import { answerAddressProblem } from "../protocol/answer-address.ts";
import { type AnswerCheck, endpointOfCheck, singleChecks } from "../protocol/answer-check.ts";

/** Throws `InvalidInputError` if no machine could ever answer there. */
export function requireAnswerable(check: AnswerCheck): void {
  const problems = singleChecks(check).flatMap((one) => {
    const host = endpointOfCheck(one)?.host;
    return (host !== undefined && answerAddressProblem(host)) || [];
  });
  if (problems.length > 0)
    throw new InvalidInputError(problems.map((message) => ({ path: "check", message })));
}
