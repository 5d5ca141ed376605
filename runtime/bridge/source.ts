import type { KindId, Ref } from "../Kind.ts"
import type { ClusterAccess } from "../kube/access.ts"
import { collectionPath, type RawObject } from "../kube/api.ts"
import { type Dispatcher, request } from "../kube/request.ts"
import { isStateList, readStateList, type State, stateListTypes } from "../kube/stateList.ts"
import { lines } from "./lines.ts"

/** The resource version is too old (410): only a new list helps. */
export class Gone extends Error {
  override readonly name = "Gone"
}

/** The API server could not be reached at all: it may come back as another one. */
export class Unreachable extends Error {
  override readonly name = "Unreachable"
}

/** The API server answered, but not with what was asked for. */
export class Refused extends Error {
  override readonly name = "Refused"
  readonly status: number
  /** What `Retry-After` asked for, in milliseconds. */
  readonly retryAfterMillis: number | undefined
  constructor(message: string, status: number, retryAfterMillis: number | undefined) {
    super(message)
    this.status = status
    this.retryAfterMillis = retryAfterMillis
  }
}

export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly resourceVersion: string
}

/** Which states there are; or the objects themselves, where the server sends nothing less. */
export type Survey =
  | ({ readonly _tag: "States" } & Page<State>)
  | ({ readonly _tag: "Objects" } & Page<RawObject>)

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: RawObject }
  | {
      readonly type: "BOOKMARK"
      readonly object: { readonly metadata: { readonly resourceVersion: string } }
    }

export interface SourceTimes {
  /** A watch that says nothing for so long is broken; the API server sends a bookmark about once a minute. */
  readonly silenceMillis: number
  /** How long the API server may take to begin an answer. */
  readonly headersMillis: number
  /** How long one watch lasts before the API server ends it: spreads clients over servers. */
  readonly watchSeconds: number
  /** Objects per page of a list. */
  readonly pageSize: number
}

export const defaultSourceTimes: SourceTimes = {
  silenceMillis: 70_000,
  headersMillis: 30_000,
  watchSeconds: 300,
  pageSize: 500
}

const open = async (
  cluster: ClusterAccess,
  path: string,
  query: Record<string, string>,
  times: SourceTimes,
  signal: AbortSignal,
  accept = "application/json"
): Promise<Dispatcher.ResponseData> => {
  let answer: Dispatcher.ResponseData
  try {
    answer = await request(await cluster.dispatcher(), cluster.server, {
      method: "GET",
      path,
      query,
      signal,
      headers: { accept, ...(await cluster.headers()) },
      headersTimeout: times.headersMillis,
      bodyTimeout: times.silenceMillis
    })
  } catch (cause) {
    signal.throwIfAborted()
    throw new Unreachable(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  if (answer.statusCode < 300) return answer
  const text = await answer.body.text().catch(() => "")
  if (answer.statusCode === 410) throw new Gone(text)
  if (answer.statusCode === 401) cluster.refresh()
  const retryAfter = Number(answer.headers["retry-after"])
  throw new Refused(
    `${path}: HTTP ${answer.statusCode}: ${text.slice(0, 300)}`,
    answer.statusCode,
    retryAfter > 0 ? retryAfter * 1000 : undefined
  )
}

/** Items of a list carry neither `kind` nor `apiVersion`; whoever reads the bucket wants them. */
const named = (kind: KindId, object: RawObject): RawObject => ({
  apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
  kind: kind.kind,
  ...object
})

interface RawList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: ReadonlyArray<RawObject> | null
}

const objectsOf = (kind: KindId, page: RawList): Page<RawObject> => ({
  items: (page.items ?? []).map((item) => named(kind, item)),
  resourceVersion: page.metadata.resourceVersion
})

/** Lists a resource, page by page and consistently: no resource version is given, so the API server reads the newest. */
export async function* list(
  cluster: ClusterAccess,
  kind: KindId,
  times: SourceTimes,
  signal: AbortSignal
): AsyncGenerator<Page<RawObject>> {
  let token = ""
  do {
    const query = { limit: String(times.pageSize), ...(token === "" ? {} : { continue: token }) }
    const answer = await open(cluster, collectionPath(kind), query, times, signal)
    const page = (await answer.body.json()) as RawList
    token = page.metadata.continue ?? ""
    yield objectsOf(kind, page)
  } while (token !== "")
}

/** As `list`, but says only in which states the objects are, if the server can do so. */
export async function* survey(
  cluster: ClusterAccess,
  kind: KindId,
  times: SourceTimes,
  signal: AbortSignal
): AsyncGenerator<Survey> {
  let token = ""
  do {
    const query = { limit: String(times.pageSize), ...(token === "" ? {} : { continue: token }) }
    const answer = await open(cluster, collectionPath(kind), query, times, signal, stateListTypes)
    if (isStateList(answer.headers["content-type"])) {
      const page = readStateList(Buffer.from(await answer.body.arrayBuffer()))
      token = page.token
      yield { _tag: "States", ...page }
    } else {
      const page = (await answer.body.json()) as RawList
      token = page.metadata.continue ?? ""
      yield { _tag: "Objects", ...objectsOf(kind, page) }
    }
  } while (token !== "")
}

/** One object as it is now; `undefined` when there is none. By a list, since the bridge may do nothing else. */
export const one = async (
  cluster: ClusterAccess,
  kind: KindId,
  { namespace, name }: Ref,
  times: SourceTimes,
  signal: AbortSignal
): Promise<RawObject | undefined> => {
  // Names of some kinds may be anything: https://pkg.go.dev/k8s.io/apimachinery/pkg/fields#EscapeValue
  const query = { fieldSelector: `metadata.name=${name.replace(/[\\,=]/g, "\\$&")}` }
  const answer = await open(cluster, collectionPath(kind, namespace), query, times, signal)
  return objectsOf(kind, (await answer.body.json()) as RawList).items[0]
}

/** The version that the API server is at now, by a list of one object: consistent, and cheap. */
export const newestVersion = async (
  cluster: ClusterAccess,
  kind: KindId,
  times: SourceTimes,
  signal: AbortSignal
): Promise<string> => {
  for await (const page of list(cluster, kind, { ...times, pageSize: 1 }, signal)) return page.resourceVersion
  throw new Error(`${kind.plural}: a list without a page`)
}

/** Watches a resource from a version on, until the API server ends it. */
export async function* watch(
  cluster: ClusterAccess,
  kind: KindId,
  resourceVersion: string,
  times: SourceTimes,
  signal: AbortSignal
): AsyncGenerator<WatchEvent> {
  // Spread over ±10 %, so that bridges of many clusters do not reconnect in step.
  const timeoutSeconds = String(Math.round(times.watchSeconds * (0.9 + 0.2 * Math.random())))
  const query = { watch: "true", allowWatchBookmarks: "true", resourceVersion, timeoutSeconds }
  const answer = await open(cluster, collectionPath(kind), query, times, signal)
  for await (const line of lines(heard(answer.body as unknown as AsyncIterable<Buffer>, times))) {
    const event = JSON.parse(line) as
      | WatchEvent
      | { readonly type: "ERROR"; readonly object: { readonly code?: number; readonly message?: string } }
    if (event.type === "ERROR") {
      if (event.object.code === 410) throw new Gone(event.object.message)
      throw new Refused(`watch ${kind.plural}: ${event.object.message}`, event.object.code ?? 500, undefined)
    }
    yield event
  }
}

/** A silence says so: it may be a broken connection, or an etcd that tells the API server nothing to make bookmarks of. */
async function* heard(body: AsyncIterable<Buffer>, times: SourceTimes): AsyncGenerator<Buffer> {
  try {
    yield* body
  } catch (cause) {
    if ((cause as { readonly code?: string }).code !== "UND_ERR_BODY_TIMEOUT") throw cause
    const seconds = times.silenceMillis / 1000
    throw new Error(`nothing was heard for ${seconds} s, not even a bookmark: watching anew`, { cause })
  }
}
