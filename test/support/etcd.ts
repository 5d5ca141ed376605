import { cpSync, rmSync } from "node:fs"
import * as Effect from "effect/Effect"
import type { OwnControlPlane } from "../../infra/local/index.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")
const keyOf = (namespace: string, name: string) => base64(`/registry/configmaps/${namespace}/${name}`)

/** etcd under an API server's feet: what its administrator does to it, by its HTTP gateway and with its files. */
export class Etcd {
  readonly #plane: OwnControlPlane

  constructor(plane: OwnControlPlane) {
    this.#plane = plane
  }

  /** Removes a ConfigMap while no API server looks. */
  async remove(namespace: string, name: string): Promise<void> {
    await this.#post("kv/deleterange", { key: keyOf(namespace, name) })
  }

  /** The ConfigMap as it is stored. */
  async read(namespace: string, name: string): Promise<string> {
    const { kvs } = await this.#post<{ kvs: [{ value: string }] }>("kv/range", {
      key: keyOf(namespace, name)
    })
    return kvs[0].value
  }

  /** Stores a ConfigMap as it was read. */
  async write(namespace: string, name: string, value: string): Promise<void> {
    await this.#post("kv/put", { key: keyOf(namespace, name), value })
  }

  /** Forgets all versions but the present ones. */
  async compact(): Promise<void> {
    const { header } = await this.#post<{ header: { revision: string } }>("kv/range", { key: base64("/") })
    await this.#post("kv/compaction", { revision: header.revision, physical: true })
  }

  /** A copy of its files; it is killed for that, and runs again afterwards. */
  async backUp(to: string): Promise<void> {
    const { etcd } = this.#plane
    await Effect.runPromise(etcd.kill("SIGKILL"))
    rmSync(to, { recursive: true, force: true })
    cpSync(etcd.dataDir, to, { recursive: true })
    await Effect.runPromise(etcd.start)
  }

  /** Puts a copy back, as an administrator would: with the API server stopped. */
  async restore(from: string): Promise<void> {
    const { etcd, apiServer } = this.#plane
    await Effect.runPromise(Effect.all([apiServer.kill("SIGKILL"), etcd.kill("SIGKILL")]))
    rmSync(etcd.dataDir, { recursive: true, force: true })
    cpSync(from, etcd.dataDir, { recursive: true })
    await Effect.runPromise(Effect.andThen(etcd.start, apiServer.start))
  }

  async #post<A>(path: string, body: unknown): Promise<A> {
    const url = `http://127.0.0.1:${this.#plane.etcd.port}/v3/${path}`
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`)
    return (await answer.json()) as A
  }
}
