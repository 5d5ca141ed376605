import * as Effect from "effect/Effect"
import { refKey } from "../Kind.ts"
import {
  AlreadyExists,
  Conflict,
  Forbidden,
  Invalid,
  type KubeFailure,
  NotFound,
  Unavailable
} from "../KubeFailure.ts"
import type { ClusterAccess } from "./access.ts"
import { collectionPath, type KubeApi, objectPath, type RawObject, type WriteOptions } from "./api.ts"
import { type Dispatcher, request } from "./request.ts"

interface Call {
  readonly method: Dispatcher.HttpMethod
  readonly path: string
  readonly query?: Record<string, string>
  readonly body?: unknown
  readonly contentType?: string
  /** Shown in failures: `create IpClaim 192-168-0-249`. */
  readonly operation: string
}

/** Longer than any healthy API server needs for one object; the retry belongs to the host. */
const timeoutMillis = 15_000

interface KubeStatus {
  readonly reason?: string
  readonly message?: string
  readonly details?: {
    readonly retryAfterSeconds?: number
    readonly causes?: ReadonlyArray<{ readonly field?: string }>
  }
}

/** What an answer of 300 and more means. Source: Kubernetes API conventions, "HTTP Status codes". */
export const failureOf = (
  operation: string,
  status: number,
  body: KubeStatus,
  retryAfter: string | undefined
): KubeFailure => {
  const detail = body.message ?? `HTTP ${status}`
  if (status === 409) {
    return body.reason === "AlreadyExists"
      ? new AlreadyExists({ operation, detail })
      : new Conflict({ operation, detail })
  }
  // A merge patch with the uid of an object that was there before under the same name: "field is immutable".
  if (body.details?.causes?.some(({ field }) => field === "metadata.uid") === true) {
    return new Conflict({ operation, detail })
  }
  if (status === 404) return new NotFound({ operation, detail })
  if (status === 401 || status === 403) return new Forbidden({ operation, detail })
  if (status === 429 || status >= 500) {
    const seconds = Number(retryAfter ?? body.details?.retryAfterSeconds)
    return new Unavailable({
      operation,
      detail,
      ...(seconds > 0 ? { retryAfterMillis: seconds * 1000 } : {})
    })
  }
  return new Invalid({ operation, detail })
}

/** Sends one request and reads the answer whole. */
export const call = (cluster: ClusterAccess, wanted: Call): Effect.Effect<unknown, KubeFailure> =>
  Effect.tryPromise({
    try: async (signal) => {
      const dispatcher = await cluster.dispatcher()
      const answer = await request(dispatcher, cluster.server, {
        method: wanted.method,
        path: wanted.path,
        signal,
        // The client would close the connection after a DELETE with a body, and each new one is a handshake.
        reset: false,
        headersTimeout: timeoutMillis,
        bodyTimeout: timeoutMillis,
        ...(wanted.query === undefined ? {} : { query: wanted.query }),
        ...(wanted.body === undefined ? {} : { body: JSON.stringify(wanted.body) }),
        headers: {
          accept: "application/json",
          ...(wanted.body === undefined ? {} : { "content-type": wanted.contentType ?? "application/json" }),
          ...(await cluster.headers())
        }
      })
      const text = await answer.body.text()
      const json: unknown = text === "" ? {} : parse(text)
      if (answer.statusCode < 300) return json
      if (answer.statusCode === 401) cluster.refresh()
      const retryAfter = answer.headers["retry-after"]
      throw failureOf(
        wanted.operation,
        answer.statusCode,
        json as KubeStatus,
        typeof retryAfter === "string" ? retryAfter : undefined
      )
    },
    catch: (cause) =>
      isFailure(cause) ? cause : new Unavailable({ operation: wanted.operation, detail: describe(cause) })
  })

/** A proxy in between may answer with something that is not JSON; its status still counts. */
const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return { message: text.slice(0, 200) }
  }
}

const isFailure = (cause: unknown): cause is KubeFailure =>
  cause instanceof Conflict ||
  cause instanceof AlreadyExists ||
  cause instanceof NotFound ||
  cause instanceof Forbidden ||
  cause instanceof Invalid ||
  cause instanceof Unavailable

const describe = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause instanceof Error ? `: ${cause.cause.message}` : ""
  return `${cause.message}${inner}`
}

/** The API server ignores a uid in a write of `status`: that the object is another one is seen in its answer. */
const ofUid =
  (operation: string, body: unknown) =>
  (answer: RawObject): Effect.Effect<RawObject, Conflict> => {
    const { uid } = (body as { readonly metadata?: { readonly uid?: string } }).metadata ?? {}
    return uid === undefined || uid === answer.metadata.uid
      ? Effect.succeed(answer)
      : Effect.fail(new Conflict({ operation, detail: `uid is ${answer.metadata.uid}, not ${uid}` }))
  }

/**
 * What a deletion has left. Of most kinds that is a Status, of others the object, even where it is gone (a Pod that no
 * node has, with a grace period of 0).
 */
const leftOf = (answer: Partial<RawObject>): RawObject | undefined => {
  const { uid, finalizers = [], deletionGracePeriodSeconds = 0 } = answer.metadata ?? {}
  const isLeft = uid !== undefined && (finalizers.length > 0 || deletionGracePeriodSeconds > 0)
  return isLeft ? (answer as RawObject) : undefined
}

/** What our writes say for themselves. We read no warnings, and checking for unknown fields costs a second decoding. */
const written = ({ manager }: WriteOptions) => ({ fieldManager: manager, fieldValidation: "Ignore" })

/** The API server over HTTP. */
export const httpApi = (cluster: ClusterAccess): KubeApi => {
  const send = (wanted: Call) => call(cluster, wanted) as Effect.Effect<RawObject, KubeFailure>
  const sendUnderUid = (wanted: Call) =>
    send(wanted).pipe(Effect.flatMap(ofUid(wanted.operation, wanted.body)))
  return {
    get: (kind, ref) =>
      send({ method: "GET", path: objectPath(kind, ref), operation: `get ${kind.kind} ${refKey(ref)}` }),
    create: (kind, namespace, body, options) =>
      send({
        method: "POST",
        path: collectionPath(kind, namespace),
        query: written(options),
        body,
        operation: `create ${kind.kind} ${(body as RawObject).metadata.name}`
      }),
    mergePatch: (kind, ref, body, options) =>
      sendUnderUid({
        method: "PATCH",
        path: objectPath(kind, ref, options.subresource),
        query: written(options),
        body,
        contentType: "application/merge-patch+json",
        operation: `patch ${kind.kind} ${refKey(ref)}`
      }),
    apply: (kind, ref, body, options) =>
      sendUnderUid({
        method: "PATCH",
        path: objectPath(kind, ref, options.subresource),
        query: { ...written(options), force: "true" },
        body,
        contentType: "application/apply-patch+yaml",
        operation: `apply ${kind.kind} ${refKey(ref)}`
      }),
    remove: (kind, ref, preconditions) =>
      send({
        method: "DELETE",
        path: objectPath(kind, ref),
        body: { apiVersion: "v1", kind: "DeleteOptions", preconditions },
        operation: `delete ${kind.kind} ${refKey(ref)}`
      }).pipe(Effect.map(leftOf))
  }
}
