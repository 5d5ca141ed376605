import * as Schema from "effect/Schema"

/** The API group of our own kinds, as the original k8s-externalipcontroller named it. */
export const group = "ipcontroller.ext"

// The longest texts of RFC 4291 and RFC 4632: CEL rules cost by these lengths.
export const addressText = { maxLength: 45 }
export const cidrText = { maxLength: 49 }
export const nameText = { maxLength: 253 }
/** A network interface's name: IFNAMSIZ is 16 with the terminating zero. */
export const linkText = { maxLength: 15 }

/**
 * A string field of a CRD, with its description for `kubectl explain` and its limits. The limits are kept by the API
 * server, not by decoding: an object that was stored before a limit was set must not vanish from the view.
 */
export const text = (description: string, limits: { readonly [keyword: string]: unknown } = nameText) =>
  Schema.String.annotate({ description, ...limits })

/** Standard Kubernetes condition (`metav1.Condition`). `lastTransitionTime` is RFC 3339. */
export const Condition = Schema.Struct({
  type: text("What the condition is about, in CamelCase.", { maxLength: 316 }),
  status: Schema.Literals(["True", "False", "Unknown"]).annotate({
    description: "Whether it holds: True, False or Unknown."
  }),
  reason: text("Why, as one CamelCase word for programs.", { maxLength: 1024 }),
  message: text("Why, as a sentence for people.", { maxLength: 32768 }),
  lastTransitionTime: text("When the status last changed.", { format: "date-time", maxLength: 64 }),
  observedGeneration: Schema.optionalKey(
    Schema.Int.annotate({ description: "The metadata.generation that this was said about.", format: "int64" })
  )
})
export type Condition = typeof Condition.Type

export const Conditions = (description: string) =>
  Schema.Array(Condition.annotate({ description: "One thing that holds, or does not." })).annotate({
    description,
    maxItems: 16,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"]
  })

const Requirement = Schema.Struct({
  key: text("The label that the requirement is about.", { maxLength: 317 }),
  operator: Schema.Literals(["In", "NotIn", "Exists", "DoesNotExist"]).annotate({
    description: "How the label relates to the values: In, NotIn, Exists or DoesNotExist."
  }),
  values: Schema.optionalKey(
    Schema.Array(text("A label value.", { maxLength: 63 })).annotate({
      description: "The values; mandatory for In and NotIn, left out for Exists and DoesNotExist.",
      maxItems: 256
    })
  )
})

/** Kubernetes' LabelSelector: all of it must hold; an empty one matches everything. */
export const LabelSelector = Schema.Struct({
  matchLabels: Schema.optionalKey(
    Schema.Record(Schema.String, text("The value that the label must have.", { maxLength: 63 })).annotate({
      description: "Labels that must be there with exactly these values.",
      maxProperties: 64
    })
  ),
  matchExpressions: Schema.optionalKey(
    Schema.Array(
      Requirement.annotate({
        description: "One requirement on one label.",
        "x-kubernetes-validations": [
          {
            rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
            message: "operators In and NotIn need values; Exists and DoesNotExist take none"
          }
        ]
      })
    ).annotate({ description: "Requirements that must all hold.", maxItems: 64 })
  )
})
export type LabelSelector = typeof LabelSelector.Type
