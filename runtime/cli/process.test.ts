import { createServer } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { serveHealth } from "./process.ts"

const get = (url: string) =>
  Effect.promise(async () => {
    const answer = await fetch(url)
    return [answer.status, await answer.text()] as const
  })

const counter = Metric.counter("extip_test_asked_total", { description: "How often it was asked" })

describe("health and metrics", () => {
  it.effect("say whether the process is ready, and what it has counted", () =>
    Effect.gen(function* () {
      let ready = false
      const bound = yield* serveHealth(
        "127.0.0.1:0",
        () => ready,
        (context) => counter.updateUnsafe(1, context)
      )
      expect(yield* get(`${bound}/healthz`)).toEqual([200, "ok\n"])
      expect(yield* get(`${bound}/readyz`)).toEqual([503, "not ready\n"])
      ready = true
      expect(yield* get(`${bound}/readyz?verbose`)).toEqual([200, "ok\n"])
      const [status, text] = yield* get(`${bound}/metrics`)
      expect([status, text]).toEqual([200, expect.stringMatching(/^extip_test_asked_total 1$/m)])
      expect((yield* get(`${bound}/else`))[0]).toBe(404)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "without a host are served on IPv4 and IPv6: which of them the kubelet asks depends on the cluster",
    () =>
      Effect.gen(function* () {
        const { port } = new URL(yield* serveHealth(":0", () => true))
        for (const host of ["127.0.0.1", "[::1]"]) {
          expect(yield* get(`http://${host}:${port}/healthz`)).toEqual([200, "ok\n"])
        }
      }).pipe(Effect.scoped)
  )

  it.effect("are no longer served when the process ends, and not where somebody else listens", () =>
    Effect.gen(function* () {
      const bound = yield* Effect.scoped(serveHealth("[::1]:0", () => true))
      expect(yield* Effect.promise(() => fetch(bound).catch(() => "refused"))).toBe("refused")
      const other = createServer()
      const port = yield* Effect.callback<number>((resume) => {
        other.listen(0, "127.0.0.1", () => resume(Effect.succeed((other.address() as { port: number }).port)))
      })
      const failure = yield* Effect.flip(Effect.scoped(serveHealth(`127.0.0.1:${port}`, () => true)))
      expect(failure.message).toContain("EADDRINUSE")
      other.close()
    })
  )
})
