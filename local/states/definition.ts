/**
 * The part of the Amazon States Language (JSONata) that the embedded cloud runs, as written in a
 * definition.
 */
import * as z from "zod";

const Name = z.string().min(1).max(80);
/** `{% … %}`: the text between the marks is JSONata. */
const Expression = z.string().regex(/^\{%[\s\S]*%\}$/, "must be a JSONata expression in {% %}");
/** Any JSON. Strings in it that are expressions are evaluated. */
const Template = z.json();
const Variables = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,79}$/, "is no variable name"),
  Template,
);
const whole = (least: number, most: number) => z.union([z.int().min(least).max(most), Expression]);
/** The longest wait that the language allows, in seconds. */
export const MAX_SECONDS = 99_999_999;

const common = { Comment: z.string().optional(), QueryLanguage: z.literal("JSONata").optional() };
const flow = { Next: Name.optional(), End: z.boolean().optional() };
const results = { Output: Template.optional(), Assign: Variables.optional() };

const Retrier = z.strictObject({
  Comment: z.string().optional(),
  ErrorEquals: z.array(z.string().min(1)).min(1),
  IntervalSeconds: z.int().min(1).max(MAX_SECONDS).default(1),
  MaxAttempts: z.int().min(0).max(MAX_SECONDS).default(3),
  BackoffRate: z.number().min(1).default(2),
  MaxDelaySeconds: z.int().min(1).max(31_622_400).optional(),
  JitterStrategy: z.enum(["FULL", "NONE"]).default("NONE"),
});
const Catcher = z.strictObject({
  Comment: z.string().optional(),
  ErrorEquals: z.array(z.string().min(1)).min(1),
  Next: Name,
  ...results,
});
const handlers = { Retry: z.array(Retrier).optional(), Catch: z.array(Catcher).optional() };

const Task = z.strictObject({
  Type: z.literal("Task"),
  Resource: z.string(),
  Arguments: Template.optional(),
  TimeoutSeconds: whole(1, MAX_SECONDS).optional(),
  HeartbeatSeconds: whole(1, MAX_SECONDS).optional(),
  ...handlers,
  ...results,
  ...flow,
  ...common,
});
const Choice = z.strictObject({
  Type: z.literal("Choice"),
  Choices: z
    .array(
      z.strictObject({
        Comment: z.string().optional(),
        Condition: z.union([z.boolean(), Expression]),
        Next: Name,
        ...results,
      }),
    )
    .min(1),
  Default: Name.optional(),
  ...results,
  ...common,
});
const Wait = z.strictObject({
  Type: z.literal("Wait"),
  Seconds: whole(0, MAX_SECONDS).optional(),
  Timestamp: z.string().optional(),
  ...results,
  ...flow,
  ...common,
});
const Pass = z.strictObject({ Type: z.literal("Pass"), ...results, ...flow, ...common });
const Succeed = z.strictObject({ Type: z.literal("Succeed"), Output: Template.optional(), ...common });
const Fail = z.strictObject({
  Type: z.literal("Fail"),
  Error: z.string().optional(),
  Cause: z.string().optional(),
  ...common,
});

/**
 * States with a start state: a whole machine, a branch of a Parallel state, or the processor of a Map state.
 */
export interface Processor {
  Comment?: string | undefined;
  StartAt: string;
  States: Record<string, State>;
  ProcessorConfig?: { Mode: "INLINE" | "DISTRIBUTED" } | undefined;
}
const Processor: z.ZodType<Processor> = z.lazy(() =>
  z.strictObject({
    Comment: z.string().optional(),
    StartAt: Name,
    States: z.record(Name, State),
    ProcessorConfig: z.strictObject({ Mode: z.enum(["INLINE", "DISTRIBUTED"]) }).optional(),
  }),
);
const MapShape = z.strictObject({
  Type: z.literal("Map"),
  Items: z.union([z.array(Template), Expression]).optional(),
  ItemSelector: Template.optional(),
  ItemProcessor: Processor,
  MaxConcurrency: whole(0, 10_000).optional(),
  ...handlers,
  ...results,
  ...flow,
  ...common,
});
const Parallel = z.strictObject({
  Type: z.literal("Parallel"),
  Arguments: Template.optional(),
  Branches: z.array(Processor).min(1),
  ...handlers,
  ...results,
  ...flow,
  ...common,
});

const State = z.discriminatedUnion("Type", [Task, Choice, Wait, Pass, Succeed, Fail, MapShape, Parallel]);

/** The shape of a whole definition. `compileMachine` checks the names in it. */
export const Definition = z.strictObject({
  Comment: z.string().optional(),
  Version: z.literal("1.0").optional(),
  QueryLanguage: z.literal("JSONata"),
  StartAt: Name,
  States: z.record(Name, State),
  TimeoutSeconds: z.int().min(1).max(MAX_SECONDS).optional(),
});

export type Definition = z.infer<typeof Definition>;
export type TaskState = z.infer<typeof Task>;
export type ChoiceState = z.infer<typeof Choice>;
export type WaitState = z.infer<typeof Wait>;
export type PassState = z.infer<typeof Pass>;
export type SucceedState = z.infer<typeof Succeed>;
export type FailState = z.infer<typeof Fail>;
export type MapState = z.infer<typeof MapShape>;
export type ParallelState = z.infer<typeof Parallel>;
export type State =
  | TaskState
  | ChoiceState
  | WaitState
  | PassState
  | SucceedState
  | FailState
  | MapState
  | ParallelState;
export type Retrier = z.infer<typeof Retrier>;
export type Catcher = z.infer<typeof Catcher>;
/** Values that a state writes when it ends. */
export interface Results {
  Output?: unknown;
  Assign?: Record<string, unknown> | undefined;
}
