/**
 * The `Retry` and `Catch` lists of the workflows. The language has no way to share a list, so each state
 * repeats its own; a state whose list is none of these differs by mistake, or needs a name here.
 */

/** Of Lambda, and of the runtime of its functions. */
const LAMBDA = [
  "Lambda.ServiceException",
  "Lambda.AWSLambdaException",
  "Lambda.SdkClientException",
  "Lambda.TooManyRequestsException",
  "Lambda.Unknown",
  "Sandbox.Timedout",
  "Runtime.ExitError",
];
const BOOT = ["BootImageUnavailableError", "BootStateChangedError", "VolumeNotMountedError"];

/** Retries errors that may pass by themselves for some minutes. */
function passing(...errors: string[]): object {
  return {
    ErrorEquals: ["ConcurrentChangeError", "ServiceUnavailableError", ...errors, ...LAMBDA],
    IntervalSeconds: 2,
    BackoffRate: 2,
    MaxDelaySeconds: 60,
    MaxAttempts: 8,
  };
}

/** Asks an agent again that was silent for the length of a heartbeat. */
function silent(attempts: number): object {
  return {
    ErrorEquals: ["States.HeartbeatTimeout"],
    IntervalSeconds: 5,
    BackoffRate: 2,
    MaxDelaySeconds: 60,
    MaxAttempts: attempts,
  };
}

/** An agent that is away is asked for about a day, or only while its machine can be expected to answer. */
const DAY = silent(480);
const command = passing("CommandOutOfTimeError");
const bootCommand = passing("CommandOutOfTimeError", ...BOOT);
const hypervisorCommand = passing("CommandOutOfTimeError", "HypervisorFailedError");

/** Starts a workflow and waits for it; one that runs already under its name is waited for. */
const workflow = {
  ErrorEquals: [
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.SdkClientException",
  ],
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxDelaySeconds: 60,
  MaxAttempts: 8,
};

export const retryLists: Readonly<Record<string, readonly object[]>> = {
  "a function alone": [passing()],
  "a function that may have done it": [passing("States.Timeout")],
  "a workflow": [workflow],
  "a source or target, for a day": [DAY, hypervisorCommand],
  "a clone to remove, for some hours": [
    DAY,
    hypervisorCommand,
    { ErrorEquals: ["DrillCancelledError", "ForbiddenError"], MaxAttempts: 0 },
    {
      ErrorEquals: ["States.ALL"],
      IntervalSeconds: 60,
      BackoffRate: 3,
      MaxDelaySeconds: 3600,
      MaxAttempts: 6,
    },
  ],
  "a machine that has production, until it is connected": [
    DAY,
    hypervisorCommand,
    { ErrorEquals: ["LeaseEndedError"], MaxAttempts: 0 },
    {
      ErrorEquals: ["States.ALL"],
      IntervalSeconds: 60,
      BackoffRate: 3,
      MaxDelaySeconds: 3600,
      MaxAttempts: 6,
    },
  ],
  "a source that is staged": [DAY, bootCommand],
  "a source that is armed": [silent(10), bootCommand],
  "a source that restarts or is compared, or a target host that checks or compares": [silent(10), command],
  "a standby that may stay behind": [silent(3), passing("CommandOutOfTimeError", "StandbyBusyError")],
  "a window or a person, for a year": [
    { ErrorEquals: ["States.Timeout"], IntervalSeconds: 1, BackoffRate: 1, MaxAttempts: 366 },
    passing(),
  ],
  "a machine that is to report": [command],
  "a boot environment that works": [silent(30), command],
  "a boot environment that is to restart home": [silent(3), command],
  "an original system that is to attest": [bootCommand],
  "a webhook, for a day": [
    {
      ErrorEquals: ["States.ALL"],
      IntervalSeconds: 10,
      BackoffRate: 3,
      MaxDelaySeconds: 21_600,
      MaxAttempts: 10,
    },
  ],
  "the end, until it is recorded": [
    {
      ErrorEquals: ["States.ALL"],
      IntervalSeconds: 2,
      BackoffRate: 2,
      MaxDelaySeconds: 300,
      MaxAttempts: 100,
    },
  ],
};

const AS_IT_IS = "{% $states.errorOutput %}";

function any(next: string, failure: unknown = AS_IT_IS): object {
  return { ErrorEquals: ["States.ALL"], Assign: { failure }, Next: next };
}

function anyKeepingFailure(next: string): object {
  return { ErrorEquals: ["States.ALL"], Next: next };
}

function late(next: string, error: string, cause = ""): object {
  return {
    ErrorEquals: ["States.Timeout", "States.HeartbeatTimeout"],
    Assign: { failure: { Error: error, Cause: cause } },
    Next: next,
  };
}

function anotherProof(by: string): object {
  return {
    ErrorEquals: ["StepFunctions.ExecutionAlreadyExistsException"],
    Assign: { proofs: "{% $proofs + 1 %}" },
    Next: by,
  };
}

export const catchLists: Readonly<Record<string, readonly object[]>> = {
  "leaves the standby behind": [
    {
      ErrorEquals: ["States.ALL"],
      Assign: { standby: { notApplied: AS_IT_IS } },
      Next: "Finish",
    },
  ],
  "ends the conversion": [any("Abandon")],
  "begins another clone where the outcome of one was lost": [
    {
      ErrorEquals: ["StepFunctions.ExecutionAlreadyExistsException"],
      Assign: { clones: "{% $clones + 1 %}" },
      Next: "MakeClone",
    },
    any("Abandon"),
  ],
  "writes the disks from the repository if their standby cannot be cloned": [
    {
      ErrorEquals: ["RecoveryCancelledError", "ForbiddenError"],
      Assign: { failure: AS_IT_IS },
      Next: "Abandon",
    },
    anyKeepingFailure("StandbyLeft"),
  ],
  "begins another proof where the outcome of one was lost": [anotherProof("ProveClone")],
  "begins another proof where the outcome of one was lost; else ends": [
    anotherProof("ProveClone"),
    any("Abandon"),
  ],
  "begins another proof of the final point where the outcome of one was lost; else rolls back": [
    anotherProof("ProveFinalPoint"),
    any("RollBack"),
  ],
  "has the proof say that the boot environment did not read the files": [
    { ErrorEquals: ["States.ALL"], Assign: { read: { failure: AS_IT_IS } }, Next: "FenceReturn" },
  ],
  "has the proof say that there is no clone": [
    { ErrorEquals: ["States.ALL"], Assign: { rehearsed: { failure: AS_IT_IS } }, Next: "IsToProve" },
  ],
  "proves the clone whatever the target host says of the machine": [anyKeepingFailure("IsToProve")],
  "has the proof say that its source was not read": [
    { ErrorEquals: ["States.ALL"], Assign: { proof: { failure: AS_IT_IS } }, Next: "RecordProof" },
  ],
  "has the proof say that its clone was not read": [
    {
      ErrorEquals: ["States.ALL"],
      Assign: { proof: "{% $merge([$proof, {'failure': $states.errorOutput}]) %}" },
      Next: "RecordProof",
    },
  ],
  "begins another proof where the outcome of one was lost; else removes the clone, and then ends": [
    anotherProof("ProveClone"),
    {
      ErrorEquals: ["States.ALL"],
      Assign: { failure: AS_IT_IS, isRefuted: true },
      Next: "ReleaseRehearsal",
    },
  ],
  "gives the lease back, if there is one": [any("HadLease")],
  "gives the lease back": [any("GiveLeaseBack")],
  "ends although the lease could not be given back, and says so if it is permanent": [
    { ErrorEquals: ["WrongStateError"], Assign: { failure: AS_IT_IS }, Next: "Abandon" },
    anyKeepingFailure("Abandon"),
  ],
  "rolls the cutover back": [any("RollBack")],
  "connects the machine although the source does not say that it shuts down": [anyKeepingFailure("Connect")],
  "looks up how the run ended": [anyKeepingFailure("EndRun")],
  "removes the clone of the rehearsal": [anyKeepingFailure("ReleaseRehearsal")],
  "lets the lease lapse": [anyKeepingFailure("GiveLeaseBack")],
  "ends although the source did not answer": [anyKeepingFailure("End")],
  "waits for the receipt although the source did not answer": [anyKeepingFailure("IsToAwaitReturn")],
  "undoes the rest although the boot environment did not answer": [anyKeepingFailure("WhatToUndo")],
  "rolls back a cutover whose boot environment is silent": [
    late("RollBack", "BootEnvironmentSilentError"),
    any("RollBack"),
  ],
  "gives a notice up": [
    {
      ErrorEquals: ["States.ALL"],
      Assign: { notice: "{% $states.input.notice %}", failure: AS_IT_IS },
      Next: "GiveUp",
    },
  ],
  "brings the machine back": [any("BringBack")],
  "writes the images again": [
    { ErrorEquals: ["VerificationFailedError"], Assign: { failure: AS_IT_IS }, Next: "WriteAgain" },
  ],
  "brings back a machine whose boot environment is silent": [
    late("BringBack", "BootEnvironmentSilentError"),
    any("BringBack"),
  ],
  "gives up this check": [any("GiveUpCheck")],
  "leaves this source unchecked": [anyKeepingFailure("SourceChecked")],
  "gives up this source's garbage": [any("GiveUpSource")],
  "waits for the original system all the same": [anyKeepingFailure("AwaitOriginal")],
  "says of what was late that the original system is silent": [late("Failed", "OriginalSystemSilentError")],
  "waits for the machine that was to be brought back": [anyKeepingFailure("AwaitReturn")],
  "ends with what went wrong first": [
    late("Failed", "OriginalSystemSilentError", "{% $string($failure) %}"),
    anyKeepingFailure("Failed"),
  ],
};
