/** The rules of MQTT 3.1.1 and AWS IoT for topics and topic filters. */

/** A topic with this prefix runs only one rule and reaches no subscriber. */
export const BASIC_INGEST_PREFIX = "$aws/rules/";
const MAX_TOPIC_BYTES = 256;
const MAX_SLASHES = 7;

/**
 * Whether messages on `topic` reach a subscription to `filter`. A leading wildcard never reaches `$` topics.
 */
export function matchesFilter(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const given = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (const [index, part] of wanted.entries()) {
    // `a/#` includes `a` itself.
    if (part === "#") return true;
    const level = given[index];
    if (level === undefined || (part !== "+" && part !== level)) return false;
  }
  return wanted.length === given.length;
}

/** The reason why AWS IoT refuses this topic filter. Returns `undefined` if it accepts it. */
export function filterProblem(filter: string): string | undefined {
  const levels = filter.split("/");
  for (const [index, level] of levels.entries()) {
    if (level.includes("#") && (level !== "#" || index !== levels.length - 1))
      return "# is not its last level";
    if (level.includes("+") && level !== "+") return "+ shares a level with other characters";
  }
  return lengthProblem(filter);
}

/** The reason why nothing can be published on `topic`. Returns `undefined` if something can. */
export function topicProblem(topic: string): string | undefined {
  if (/[+#]/.test(topic)) return "it has a wildcard";
  const ingest = parseBasicIngest(topic);
  // AWS counts neither the length nor the slashes of `$aws/rules/<rule>/`.
  if (ingest) return lengthProblem(ingest.topic);
  if (topic.startsWith("$")) return "topics with $ are reserved";
  return lengthProblem(topic);
}

/** The rule and the rest of a Basic Ingest topic. Returns `undefined` for every other topic. */
export function parseBasicIngest(topic: string): { rule: string; topic: string } | undefined {
  if (!topic.startsWith(BASIC_INGEST_PREFIX)) return undefined;
  const rest = topic.slice(BASIC_INGEST_PREFIX.length);
  const slash = rest.indexOf("/");
  return slash > 0 ? { rule: rest.slice(0, slash), topic: rest.slice(slash + 1) } : undefined;
}

function lengthProblem(topic: string): string | undefined {
  if (topic === "") return "it is empty";
  if (topic.includes("\0")) return "it has a null character";
  if (Buffer.byteLength(topic) > MAX_TOPIC_BYTES) return `it is longer than ${MAX_TOPIC_BYTES} bytes`;
  if (topic.split("/").length - 1 > MAX_SLASHES) return `it has more than ${MAX_SLASHES} slashes`;
  return undefined;
}
