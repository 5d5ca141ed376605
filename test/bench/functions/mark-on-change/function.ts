import { appendFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { defineFunction, defineKind, Metadata, read } from "extip"

const ConfigMap = defineKind({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
  schema: Schema.Struct({
    metadata: Metadata,
    data: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
  })
})

/** Writes down when it was started for which change; the clock is the machine's monotonic one. */
export const markOnChange = defineFunction({
  name: "mark-on-change",
  on: [ConfigMap.changed],
  when: function isSample(map) {
    return map.data?.["sample"] !== undefined
  },
  needs: [read(ConfigMap)],
  handle: (map) =>
    Effect.sync(() => {
      const now = process.hrtime.bigint()
      appendFileSync(process.env["BENCH_MARKS"]!, `${map.data!["sample"]} ${now}\n`)
    })
})
