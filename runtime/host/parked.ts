import type { JetStreamClient } from "@nats-io/jetstream"
import { resourceName } from "../Kind.ts"
import { resourceToken, token } from "../nats/names.ts"
import { describeTarget, type Target } from "./run.ts"

/** What a parked event is, in the stream `PARKED`. */
export interface ParkedEvent {
  readonly function: string
  /** `services/default/web`, or `tick` */
  readonly object: string
  /** `services`; empty for a timer's run. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  /** With its stack, where there is one. */
  readonly cause: string
  readonly attempts: number
  /** RFC 3339 */
  readonly at: string
  readonly traceId: string
}

/** `parked.<function>.<group>.<resource>.<namespace>.<name>`: one message per function and object, the newest. */
export const parkedSubject = (
  functionName: string,
  resource: string,
  namespace: string,
  name: string
): string => `parked.${functionName}.${resource}.${namespace === "" ? "_" : token(namespace)}.${token(name)}`

/** Puts what a function gave up on into `PARKED`. Rejects when it is not on record there. */
export const park = async (
  js: JetStreamClient,
  functionName: string,
  target: Target,
  why: { readonly cause: string; readonly attempts: number; readonly traceId: string }
): Promise<void> => {
  const isTick = target._tag === "Tick"
  const ref = isTick ? { namespace: "", name: "tick" } : target.ref
  const parked: ParkedEvent = {
    function: functionName,
    object: describeTarget(target),
    resource: isTick ? "" : resourceName(target.kind),
    ...ref,
    ...why,
    at: new Date().toISOString()
  }
  const resource = isTick ? "core.ticks" : resourceToken(target.kind)
  const subject = parkedSubject(functionName, resource, ref.namespace, ref.name)
  await js.publish(subject, JSON.stringify(parked))
}
