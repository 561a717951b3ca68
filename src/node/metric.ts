/** One number, or one distribution of numbers, since the start of the node. Names and labels are stable. */
export type Metric =
  | {
      readonly kind: "counter";
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly value: number;
    }
  /** The value of this moment. */
  | {
      readonly kind: "gauge";
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly value: number;
    }
  | {
      readonly kind: "histogram";
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      /** `count` values were at most `le`; those above the last are only in `count` of the whole. */
      readonly buckets: readonly { readonly le: number; readonly count: number }[];
      readonly sum: number;
      readonly count: number;
    };
