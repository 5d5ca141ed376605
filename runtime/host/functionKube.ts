import * as Effect from "effect/Effect"
import type { FunctionDefinition } from "../Function.ts"
import { type Kind, type KindId, type KubeObject, type Ref, refKey, resourceName } from "../Kind.ts"
import type { EventNote, Kube, MergePatch, New, Precondition } from "../Kube.ts"
import { type KubeFailure, Unavailable } from "../KubeFailure.ts"
import type { KubeApi, RawObject } from "../kube/api.ts"
import { allows, describeNeed, type KubeVerb } from "../Needs.ts"
import type { SpanWrite } from "../trace/span.ts"
import type { Index } from "../View.ts"
import type { WorldView } from "./worldView.ts"

/** What one run has done, for its span. */
export interface RunLog {
  readonly writes: Array<SpanWrite>
  readonly wrote: (uid: string, resourceVersion: string) => void
}

export interface FunctionKubeOptions {
  readonly api: KubeApi
  readonly view: WorldView
  readonly fn: Pick<FunctionDefinition<any>, "name" | "needs">
  readonly note: (kind: KindId, object: KubeObject, reporter: string, note: EventNote) => void
  readonly wake: (functionName: string, kind: KindId, ref: Ref, parent: string) => Promise<void>
  /** The trace context of this run. */
  readonly traceparent: () => string
  readonly log: RunLog
}

/** `services/default/web` */
export const objectPathOf = (kind: KindId, ref: Ref): string => `${resourceName(kind)}/${refKey(ref)}`

/** A write, or a fresh read, that the function did not declare. */
export class Undeclared extends Error {
  override readonly name = "Undeclared"
}

type KubeShape = (typeof Kube)["Service"]

/** `Kube` for one run of one function: its writes only, into the view at once, and into the run's span. */
export class FunctionKube implements KubeShape {
  readonly #options: FunctionKubeOptions
  readonly #manager: string

  constructor(options: FunctionKubeOptions) {
    this.#options = options
    this.#manager = `extip-${options.fn.name}`
  }

  find<A extends KubeObject>(kind: Kind<A>, ref: Ref): A | undefined {
    return this.#options.view.find(kind, ref)
  }

  list<A extends KubeObject>(kind: Kind<A>): Iterable<A> {
    return this.#options.view.list(kind)
  }

  index<S>(index: Index<S>): S {
    return this.#options.view.index(index)
  }

  get<A extends KubeObject>(kind: Kind<A>, ref: Ref): Effect.Effect<A | undefined, KubeFailure> {
    return Effect.suspend(() => {
      this.#demand(kind, "get", "")
      return Effect.flatMap(this.#fresh(kind, ref), (raw) =>
        raw === undefined ? Effect.undefined : this.#taken(kind, ref, raw)
      )
    })
  }

  create<A extends KubeObject>(kind: Kind<A>, object: New<A>): Effect.Effect<A, KubeFailure> {
    const ref = { namespace: object.metadata.namespace ?? "", name: object.metadata.name }
    const body = {
      apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
      kind: kind.kind,
      ...object
    }
    return this.#write(kind, ref, "create", "", () =>
      this.#options.api.create(kind, ref.namespace, body, { manager: this.#manager })
    )
  }

  patch<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    precondition: Precondition,
    patch: MergePatch
  ): Effect.Effect<A, KubeFailure> {
    return this.#write(kind, ref, "patch", "", () =>
      this.#options.api.mergePatch(kind, ref, under(precondition, patch), { manager: this.#manager })
    )
  }

  patchStatus<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    precondition: Precondition,
    status: MergePatch
  ): Effect.Effect<A, KubeFailure> {
    return this.#write(kind, ref, "patch", "status", () =>
      this.#options.api.mergePatch(kind, ref, under(precondition, { status }), {
        manager: this.#manager,
        subresource: "status"
      })
    )
  }

  applyStatus<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    precondition: Precondition,
    status: MergePatch
  ): Effect.Effect<A, KubeFailure> {
    const body = {
      apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
      kind: kind.kind,
      ...under(precondition, { status })
    }
    body.metadata["name"] = ref.name
    return this.#write(kind, ref, "patch", "status", () =>
      this.#options.api.apply(kind, ref, body, { manager: this.#manager, subresource: "status" })
    )
  }

  remove<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    precondition: Precondition
  ): Effect.Effect<void, KubeFailure> {
    const { api, view, log } = this.#options
    return Effect.suspend(() => {
      this.#demand(kind, "delete", "")
      const before = view.find(kind, ref)
      const start = Date.now()
      const record = (resourceVersion: string, more: Pick<SpanWrite, "failure" | "unchanged">) =>
        log.writes.push({
          object: objectPathOf(kind, ref),
          uid: precondition.uid,
          resourceVersion,
          verb: "delete",
          subresource: "",
          start,
          end: Date.now(),
          ...more
        })
      return api.remove(kind, ref, precondition).pipe(
        Effect.matchEffect({
          onSuccess: (left) =>
            Effect.sync(() => {
              const version = left?.metadata.resourceVersion ?? "deleted"
              // It was on its way out already, and waits for its finalizers.
              const unchanged = left !== undefined && isStateOf(before, left)
              record(version, unchanged ? { unchanged } : {})
              if (!unchanged) log.wrote(precondition.uid, version)
              if (left === undefined) view.applyGone(kind, ref, precondition.uid)
              else view.applyWrite(kind, left)
            }),
          onFailure: (failure) => {
            record("deleted", { failure: failure._tag })
            if (failure._tag === "NotFound") {
              view.applyGone(kind, ref, precondition.uid)
              return Effect.void
            }
            return this.#refresh(kind, ref, failure)
          }
        })
      )
    })
  }

  note<A extends KubeObject>(kind: Kind<A>, object: A, event: EventNote): Effect.Effect<void> {
    return Effect.sync(() => this.#options.note(kind, object, this.#options.fn.name, event))
  }

  wake<A extends KubeObject>(
    functionName: string,
    kind: Kind<A>,
    ref: Ref
  ): Effect.Effect<void, KubeFailure> {
    const { wake, traceparent } = this.#options
    return Effect.tryPromise({
      try: () => wake(functionName, kind, ref, traceparent()),
      catch: (cause) =>
        new Unavailable({
          operation: `wake ${functionName} for ${objectPathOf(kind, ref)}`,
          detail: String(cause)
        })
    })
  }

  #write<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    verb: "create" | "patch",
    subresource: "" | "status",
    send: () => Effect.Effect<RawObject, KubeFailure>
  ): Effect.Effect<A, KubeFailure> {
    const { view, log } = this.#options
    return Effect.suspend(() => {
      this.#demand(kind, verb, subresource)
      const before = view.find(kind, ref)
      const start = Date.now()
      const object = objectPathOf(kind, ref)
      return send().pipe(
        Effect.matchEffect({
          onSuccess: (raw) => {
            const { uid, resourceVersion } = raw.metadata
            const unchanged = isStateOf(before, raw)
            log.writes.push({
              object,
              uid,
              resourceVersion,
              verb,
              subresource,
              start,
              end: Date.now(),
              ...(unchanged ? { unchanged } : {})
            })
            if (!unchanged) log.wrote(uid, resourceVersion)
            return this.#taken(kind, ref, raw)
          },
          onFailure: (failure) => {
            log.writes.push({
              object,
              uid: "",
              resourceVersion: "",
              verb,
              subresource,
              start,
              end: Date.now(),
              failure: failure._tag
            })
            return this.#refresh(kind, ref, failure)
          }
        })
      )
    })
  }

  /** Whoever lost to another should decide again on what that other made of it, not on the view that misled him. */
  #refresh<A extends KubeObject>(
    kind: Kind<A>,
    ref: Ref,
    failure: KubeFailure
  ): Effect.Effect<never, KubeFailure> {
    if (failure._tag !== "Conflict" && failure._tag !== "AlreadyExists" && failure._tag !== "NotFound") {
      return Effect.fail(failure)
    }
    return this.#fresh(kind, ref).pipe(
      // One that has not the kind's shape leaves the view as it was, and the view says so: the failure remains the news.
      Effect.map((raw) => raw && this.#options.view.applyWrite(kind, raw)),
      // A missing rule is told, and not just slow.
      Effect.catchIf(
        (other) => other._tag !== "Forbidden",
        () => Effect.void
      ),
      Effect.andThen(Effect.fail(failure))
    )
  }

  /** As the API server has it; takes it out of the view when it is gone. */
  #fresh(kind: Kind<any>, ref: Ref): Effect.Effect<RawObject | undefined, KubeFailure> {
    const { api, view } = this.#options
    return Effect.suspend(() => {
      // As it is now: when the answer comes, the name may already be that of another object.
      const before = view.find(kind, ref)
      return api.get(kind, ref).pipe(
        Effect.catchTag("NotFound", () =>
          Effect.sync(() => {
            if (before !== undefined) view.applyGone(kind, ref, before.metadata.uid)
            return undefined
          })
        )
      )
    })
  }

  /** Puts an answer into the view. One that cannot be read is not taken for "no such object", on which one deletes. */
  #taken<A extends KubeObject>(kind: Kind<A>, ref: Ref, raw: RawObject): Effect.Effect<A> {
    const decoded = this.#options.view.applyWrite(kind, raw)
    return decoded === undefined
      ? Effect.die(new Error(`the API server's answer is no ${kind.kind}: ${objectPathOf(kind, ref)}`))
      : Effect.succeed(decoded)
  }

  #demand(kind: Kind<any>, verb: KubeVerb, subresource: "" | "status"): void {
    const need = { kind, verb, subresource }
    if (!allows(this.#options.fn.needs, need)) {
      throw new Undeclared(
        `function "${this.#options.fn.name}" tried to ${describeNeed(need)}, which is not in its "needs"`
      )
    }
  }
}

/** The API server answers what changes nothing with the state that there was: it is not the work of who asked. */
const isStateOf = (before: KubeObject | undefined, { metadata }: RawObject): boolean =>
  before?.metadata.uid === metadata.uid && before.metadata.resourceVersion === metadata.resourceVersion

const under = (
  precondition: Precondition,
  patch: MergePatch
): { metadata: Record<string, unknown> } & MergePatch => {
  const metadata = { ...(patch["metadata"] as Record<string, unknown> | undefined), uid: precondition.uid }
  return {
    ...patch,
    metadata:
      precondition.resourceVersion === undefined
        ? metadata
        : { ...metadata, resourceVersion: precondition.resourceVersion }
  }
}
