import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import { objectToken } from "../nats/names.ts"
import { InFlight } from "./inFlight.ts"
import { ClusterWentBack, isOlder } from "./publisher.ts"
import type { ResourceOptions } from "./resource.ts"
import { list, one, survey } from "./source.ts"

export const refOfRaw = (object: RawObject): Ref => ({
  namespace: object.metadata.namespace ?? "",
  name: object.metadata.name
})

/** @throws ClusterWentBack when the API server is at an older version than one that we have seen. */
export const requireNotBefore = (kind: KindId, version: string, seen: string | undefined): void => {
  if (seen === undefined || !isOlder(version, seen)) return
  throw new ClusterWentBack(`${resourceName(kind)}: the API server is at ${version}, it was at ${seen}`)
}

/** Where more objects than this differ from the log, all of them are listed. */
const mostAskedFor = 100

/** Lists, and publishes what differs from the log. Returns the list's resource version. */
export const compare = async (options: ResourceOptions, newestSeen: string | undefined): Promise<string> => {
  const { cluster, kind, known, signal, times } = options
  // After a restart nearly everything is in the log already: then it is enough to know the states.
  const comparing = new Comparing(options, newestSeen)
  let isWhole = known.size === 0
  if (!isWhole) {
    let asked = 0
    for await (const page of survey(cluster, kind, times, signal)) {
      comparing.begin(page.resourceVersion)
      if (page._tag === "Objects") for (const object of page.items) await comparing.take(object)
      else {
        const news = page.items.filter((state) => comparing.isNews(state))
        asked += news.length
        isWhole = asked > mostAskedFor
        if (isWhole) break
        for (const { metadata } of news) await comparing.ask({ namespace: "", ...metadata })
      }
    }
  }
  if (!isWhole) return await comparing.end()
  await comparing.drained()
  const again = new Comparing(options, newestSeen, comparing.published)
  for await (const page of list(cluster, kind, times, signal)) {
    again.begin(page.resourceVersion)
    for (const object of page.items) await again.take(object)
  }
  return await again.end()
}

/** One comparison of a list with the log. */
class Comparing {
  readonly #options: ResourceOptions
  readonly #seen = new Set<string>()
  readonly #inFlight = new InFlight()
  readonly #newest: string | undefined
  #version = ""
  published: number

  constructor(options: ResourceOptions, newestSeen: string | undefined, published = 0) {
    this.#options = options
    this.published = published
    let newest = newestSeen
    for (const { resourceVersion } of options.known.values()) {
      if (newest === undefined || isOlder(newest, resourceVersion)) newest = resourceVersion
    }
    this.#newest = newest
  }

  /** A page of a list that was made at this version. */
  begin(version: string): void {
    this.#version = version
    requireNotBefore(this.#options.kind, version, this.#newest)
  }

  /** Whether the log has not got this state. */
  isNews({ metadata }: Pick<RawObject, "metadata">): boolean {
    const { kind, known } = this.#options
    const ref = { namespace: metadata.namespace ?? "", name: metadata.name }
    const key = objectToken(kind, ref)
    this.#seen.add(key)
    const before = known.get(key)
    if (before === undefined || before.deleted === true || before.uid !== metadata.uid) return true
    if (isOlder(metadata.resourceVersion, before.resourceVersion)) {
      throw new ClusterWentBack(
        `${resourceName(kind)} ${refKey(ref)} is at ${metadata.resourceVersion}, the log has ${before.resourceVersion}`
      )
    }
    return before.resourceVersion !== metadata.resourceVersion
  }

  async take(object: RawObject): Promise<void> {
    if (this.isNews(object)) await this.#inFlight.add(this.#publish(object))
  }

  /** Asks for the object, and takes it. Of one that is gone by now the watch will tell. */
  async ask(ref: Ref): Promise<void> {
    const { cluster, kind, times, signal } = this.#options
    await this.#inFlight.add(
      one(cluster, kind, ref, times, signal).then((object) =>
        object !== undefined && this.isNews(object) ? this.#publish(object) : undefined
      )
    )
  }

  async #publish(object: RawObject): Promise<void> {
    const { kind, known, publisher } = this.#options
    const ref = refOfRaw(object)
    const before = known.get(objectToken(kind, ref))
    const running: Array<Promise<void>> = []
    if (before !== undefined && before.deleted !== true && before.uid !== object.metadata.uid) {
      this.published++
      running.push(publishGone(this.#options, ref, before.uid, before.resourceVersion))
    }
    this.published++
    const seen = { kind, ref, isGone: false, object, synthesized: false, listedAt: this.#version }
    running.push(publisher.publish(seen, known))
    await Promise.all(running)
  }

  async drained(): Promise<void> {
    await this.#inFlight.drained()
  }

  /** What is in the log and was in no page is gone. */
  async end(): Promise<string> {
    const { kind, known, say } = this.#options
    for (const [key, state] of known) {
      // An object that is newer than the list was not to be seen in it.
      if (this.#seen.has(key) || state.deleted === true || isOlder(this.#version, state.resourceVersion))
        continue
      this.published++
      await this.#inFlight.add(publishGone(this.#options, state.ref, state.uid, state.resourceVersion))
    }
    await this.#inFlight.drained()
    say({
      _tag: "Listed",
      resource: resourceName(kind),
      objects: this.#seen.size,
      published: this.published
    })
    return this.#version
  }
}

/** A deletion that nobody watched. Its last state is in the log; what is known is who it was. */
const publishGone = (
  options: ResourceOptions,
  ref: Ref,
  uid: string,
  resourceVersion: string
): Promise<void> => {
  const { kind, known, publisher } = options
  const object: RawObject = {
    apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: {
      name: ref.name,
      ...(ref.namespace === "" ? {} : { namespace: ref.namespace }),
      uid,
      resourceVersion
    }
  }
  return publisher.publish({ kind, ref, isGone: true, object, synthesized: true }, known)
}
