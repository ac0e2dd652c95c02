/**
 * Every error that crosses a boundary: in an agent's result, a Lambda's answer, an API problem or an
 * `ErrorEquals` of a workflow. One file for each area, one name for each error.
 */

export * from "./data-folder/errors.ts";
export * from "./errors/alarm.ts";
export * from "./errors/boot-image.ts";
export * from "./errors/boot-loader.ts";
export * from "./errors/causeway-error.ts";
export * from "./errors/cutover.ts";
export * from "./errors/disks.ts";
export * from "./errors/failure.ts";
export * from "./errors/lease.ts";
export * from "./errors/machine.ts";
export * from "./errors/message.ts";
export * from "./errors/not-found.ts";
export * from "./errors/proof.ts";
export * from "./errors/request.ts";
export * from "./errors/restart.ts";
export * from "./errors/scope.ts";
export * from "./errors/standby.ts";
export * from "./errors/system.ts";
export * from "./errors/tracking.ts";
export * from "./errors/workflow.ts";
