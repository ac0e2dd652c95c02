/** Whether a part of a start needs a person. */
export interface Judgement {
  verdict: "unattended" | "attended" | "unknown";
  /** Why it is not `unattended`, and what to do about it. */
  reason?: string;
  remedy?: string;
}

export const UNATTENDED: Judgement = { verdict: "unattended" };

export function attended(reason: string, remedy: string): Judgement {
  return { verdict: "attended", reason, remedy };
}

export function unknown(reason: string, remedy: string): Judgement {
  return { verdict: "unknown", reason, remedy };
}

const ORDER = ["attended", "unknown", "unattended"] as const;

/** Combines all judgements; the worst verdict applies. */
export function worstOf(judgements: readonly Judgement[]): Judgement {
  const verdict = ORDER.find((each) => judgements.some((judgement) => judgement.verdict === each));
  if (verdict === undefined || verdict === "unattended") return UNATTENDED;
  const against = judgements.filter((judgement) => judgement.verdict !== "unattended");
  const texts = (key: "reason" | "remedy") => [...new Set(against.flatMap((each) => each[key] ?? []))];
  return { verdict, reason: texts("reason").join("; "), remedy: texts("remedy").join(" ") };
}
