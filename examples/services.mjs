// For `sallyport start --services examples/services.mjs`: the default export gets the node.
export default function services(node) {
  let count = 0;
  node.register(
    "counter",
    {
      call: () => ++count,
      cast: () => {
        count = 0;
      },
    },
    { allow: "ca" },
  );
}
