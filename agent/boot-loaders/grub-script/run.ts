/**
 * Follows a GRUB script through every way that it can take, as far as is known here what GRUB will find:
 * variables, files, the environment block. Changes nothing, and never takes one way for certain if there
 * could be another.
 */

import { alternativesOf } from "./expansion.ts";
import type { GrubFiles } from "./files.ts";
import { type Event, isTold, joined, type State, UNTOLD, type Values, withVariable } from "./state.ts";
import { GrubSyntaxError, parseGrubScript, type ScriptCommand } from "./syntax.ts";

/**
 * What a part of a script leaves: states that differ in the status of the last command, and what left it
 * early.
 */
export interface Flow {
  live: readonly State[];
  left?: State | undefined;
}

export interface GrubWorld {
  files: GrubFiles;
  /** GRUB's own commands; every other name is a function or an assignment. */
  commandNamed(name: string): GrubCommand | undefined;
  /** What the environment block may contain besides what its file says: from starts that did not finish. */
  mayBeSaved: ReadonlyMap<string, Values>;
}

export interface CommandCall {
  run: GrubRun;
  name: string;
  /** The words after the name. */
  words: readonly string[];
  state: State;
  block: readonly ScriptCommand[] | undefined;
}

export type GrubCommand = (call: CommandCall) => Flow;

const MOST_COMMANDS = 50_000;
const MOST_ROUNDS = 100;
const DEEPEST_CALL = 50;

export class GrubRun {
  readonly world: GrubWorld;
  /** Menus that GRUB can show, each with what is known at that point. */
  readonly menus: State[] = [];
  /** States in which GRUB starts what was loaded, without showing a menu. */
  readonly booted: State[] = [];
  #commands = 0;
  #depth = 0;

  constructor(world: GrubWorld) {
    this.world = world;
  }

  /** All ways through these commands. */
  run(commands: readonly ScriptCommand[], start: State): Flow {
    let live: State | undefined = start;
    let states: readonly State[] = [start];
    let left: State | undefined;
    for (const command of commands) {
      if (!live) break;
      if (++this.#commands > MOST_COMMANDS)
        throw new GrubSyntaxError("the configuration has too many commands");
      const flow = this.#runOne(command, live);
      states = flow.live;
      left = joined(left, flow.left);
      live = joinedAll(states);
    }
    return { live: live ? states : [], left };
  }

  /** A script text, such as a file. What cannot be parsed is an event, and the rest is not followed. */
  runText(text: string, name: string, start: State): Flow {
    let commands: ScriptCommand[];
    try {
      commands = parseGrubScript(text);
    } catch (error) {
      if (!(error instanceof GrubSyntaxError)) throw error;
      return { live: [withEvent(start, "untold", `${name} cannot be parsed: ${error.message}`)] };
    }
    return this.nested(() => this.run(commands, start));
  }

  /** Scripts that call each other without end are not followed. */
  nested(run: () => Flow): Flow {
    if (++this.#depth > DEEPEST_CALL) throw new GrubSyntaxError("the configuration calls itself");
    try {
      return run();
    } finally {
      this.#depth--;
    }
  }

  #runOne(command: ScriptCommand, state: State): Flow {
    switch (command.kind) {
      case "simple":
        return this.#each(alternativesOf(command.words, state), ({ words, state: narrowed }) =>
          this.#call(words, narrowed, command.block?.commands),
        );
      case "function": {
        const functions = new Map(state.functions).set(command.name, command.body);
        return { live: [{ ...state, functions, status: true }] };
      }
      case "if":
        return this.#if(command, state);
      case "while":
        return this.#while(command, state);
      case "for":
        return this.#each(alternativesOf(command.words, state), ({ words, state: narrowed }) =>
          this.#rounds(words, command, narrowed),
        );
    }
  }

  #call(words: readonly string[], state: State, block: readonly ScriptCommand[] | undefined): Flow {
    const [name, ...rest] = words;
    if (name === undefined) return { live: [{ ...state, status: true }] };
    if (name === "!") {
      const flow = this.#call(rest, state, block);
      return { ...flow, live: flow.live.map((each) => ({ ...each, status: negated(each.status) })) };
    }
    if (!isTold(name))
      return {
        live: [withEvent({ ...state, status: undefined }, "untold", "a command has an unknown name")],
      };
    const command = this.world.commandNamed(name);
    if (command) return command({ run: this, name, words: rest, state, block });
    const body = state.functions.get(name);
    if (body) return this.#callFunction(body, rest, state);
    const [, variable, value = ""] = /^([^=]+)=(.*)$/s.exec(name) ?? [];
    if (variable) return { live: [{ ...withVariable(state, variable, new Set([value])), status: true }] };
    return { live: [withResultsUntold({ ...state, status: undefined }, rest)] };
  }

  #callFunction(body: readonly ScriptCommand[], words: readonly string[], state: State): Flow {
    const flow = this.nested(() => this.run(body, { ...state, parameters: words }));
    const after = flow.left ? [...flow.live, flow.left] : flow.live;
    return { live: byStatus(after.map((each) => ({ ...each, parameters: state.parameters }))) };
  }

  #if({ branches, otherwise }: Extract<ScriptCommand, { kind: "if" }>, start: State): Flow {
    const ended: Flow[] = [];
    let open: State | undefined = start;
    for (const { condition, body } of branches) {
      if (!open) break;
      const { live, left } = this.run(condition, open);
      ended.push({ live: [], left });
      const then = joinedAll(live.filter(({ status }) => status !== false));
      if (then) ended.push(this.run(body, then));
      open = joinedAll(live.filter(({ status }) => status !== true));
    }
    if (open) ended.push(this.run(otherwise, { ...open, status: true }));
    return merged(ended);
  }

  #while({ until, condition, body }: Extract<ScriptCommand, { kind: "while" }>, start: State): Flow {
    const ended: State[] = [];
    let open: State | undefined = start;
    for (let round = 0; open; round++) {
      if (round > MOST_ROUNDS) {
        ended.push(withEvent(open, "asks", "a loop in GRUB's configuration may not end"));
        break;
      }
      const flow = this.run(condition, open);
      ended.push(...flow.live.filter(({ status }) => status !== !until));
      const again = joinedAll(flow.live.filter(({ status }) => status !== until));
      const round_ = again && this.run(body, again);
      if (round_?.left) ended.push(round_.left);
      open = round_ && joinedAll(round_.live);
    }
    return { live: byStatus(ended) };
  }

  #rounds(
    words: readonly string[],
    { variable, body }: Extract<ScriptCommand, { kind: "for" }>,
    start: State,
  ): Flow {
    let open: State | undefined = start;
    const left: State[] = [];
    for (const word of words.slice(0, MOST_ROUNDS)) {
      if (!open) break;
      const flow = this.run(body, withVariable(open, variable, new Set([word])));
      if (flow.left) left.push(flow.left);
      open = joinedAll(flow.live);
    }
    return { live: byStatus(open ? [open, ...left] : left) };
  }

  #each<T>(alternatives: readonly T[], run: (one: T) => Flow): Flow {
    return merged(alternatives.map(run));
  }
}

export function joinedAll(states: readonly State[]): State | undefined {
  return states.reduce<State | undefined>((all, each) => joined(all, each), undefined);
}

export function merged(flows: readonly Flow[]): Flow {
  return {
    live: byStatus(flows.flatMap(({ live }) => live)),
    left: joinedAll(flows.flatMap(({ left }) => left ?? [])),
  };
}

export function withEvent(state: State, kind: Event["kind"], what: string): State {
  return { ...state, events: [...state.events, { kind, what, certain: true }] };
}

/** Commands put their result into the variable of `--set`. */
export function withResultsUntold(state: State, words: readonly string[]): State {
  let result = state;
  for (const [index, word] of words.entries()) {
    const next = words[index + 1];
    const name = /^--set=(.+)$/s.exec(word)?.[1] ?? (/^(--set|-s)$/.test(word) ? next : undefined);
    for (const each of name?.split(/^\d+:/) ?? []) {
      if (each) result = withVariable(result, each, new Set([UNTOLD]));
    }
  }
  return result;
}

/** At most one state for each status: a caller that asks for the status need not merge the ways. */
function byStatus(states: readonly State[]): State[] {
  return [true, false, undefined].flatMap(
    (status) => joinedAll(states.filter((each) => each.status === status)) ?? [],
  );
}

function negated(status: boolean | undefined): boolean | undefined {
  return status === undefined ? undefined : !status;
}
