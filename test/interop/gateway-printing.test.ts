import { expect, it } from "vitest";
import { judgeRequest } from "../../src/gateway/io-requests.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, useRig } from "./rig.ts";

// What the gateway charges for a request to print is never less than what io_lib makes of it, up to the width of escapes.

/** Characters that a byte of an argument becomes at most. */
const ESCAPED = 10;

/** Random requests, each with the size of its text, as `[{Request, Size}]` in base 64. */
const REQUESTS = `
  rand:seed(exsss, 17),
  Text = fun() -> lists:nth(rand:uniform(4), ["", "state: ", "a\\tb\\t", lists:duplicate(rand:uniform(300), $x) ++ "\\n "]) end,
  Number = fun(N) -> case rand:uniform(3) of 1 -> integer_to_list(rand:uniform(N)); _ -> "" end end,
  Mark = fun() -> lists:nth(rand:uniform(4), ["", "t", "l", "tl"]) end,
  Leaf = fun() -> case rand:uniform(8) of
      1 -> rand:uniform(1 bsl 40); 2 -> list_to_atom(lists:duplicate(rand:uniform(60), $a)); 3 -> rand:bytes(rand:uniform(50));
      4 -> lists:duplicate(rand:uniform(60), 7); 5 -> "text"; 6 -> <<"text">>; 7 -> 1.5; 8 -> [] end end,
  Term = fun Term(0) -> Leaf(); Term(D) -> case rand:uniform(6) of
      1 -> Leaf(); 2 -> [Term(D - 1) || _ <- lists:seq(1, rand:uniform(4))];
      3 -> list_to_tuple([list_to_atom(lists:duplicate(rand:uniform(30), $t)) | [Term(D - 1) || _ <- lists:seq(1, 2)]]);
      4 -> maps:from_list([{Leaf(), Term(D - 1)} || _ <- lists:seq(1, 2)]); 5 -> {Term(D - 1)}; 6 -> [[Term(D - 1)]] end end,
  One = fun(K) -> case lists:nth(rand:uniform(4), "ppwP") of
      $P -> {"~" ++ Number(200) ++ "P", [Term(K), 100]};
      $p -> P = Number(300), {"~" ++ Number(200) ++ case P of "" -> ""; _ -> "." ++ P end ++ Mark() ++ "p", [Term(K)]};
      $w -> {"~w", [Term(K rem 4)]} end end,
  base64:encode(term_to_binary([begin
      Parts = [{Text(), One(rand:uniform(11))} || _ <- lists:seq(1, rand:uniform(3))],
      Format = lists:append([T ++ F || {T, {F, _}} <- Parts]),
      Args = lists:append([A || {_, {_, A}} <- Parts]),
      Size = length(unicode:characters_to_list(io_lib:format(Format, Args))),
      {term_to_binary({put_chars, unicode, io_lib, format, [Format, Args]}, [{minor_version, 2}]), Size}
  end || _ <- lists:seq(1, 400)]))`;

describeWithErlang("what is printed at a group leader", () => {
  const t = useRig("tcp", async (rig) => ({ beam: await rig.erlang("printer", { cookie: COOKIE }) }));

  it("is never more than the gateway charges for it", async () => {
    const requests = await t.beam.erl(
      `L = binary_to_term(base64:decode(begin ${REQUESTS} end)), [{base64:encode(R), S} || {R, S} <- L]`,
    );
    const rows = [...requests.matchAll(/\{<<"([^"]+)">>,(\d+)\}/g)];
    expect(rows).toHaveLength(400);
    let most = 0;
    for (const [, request = "", size] of rows) {
      const bytes = Buffer.from(request, "base64").subarray(1);
      const { cost = 0 } = judgeRequest(bytes, 0, bytes.length, 0, "shell") ?? {};
      expect(Number(size)).toBeLessThanOrEqual(cost + ESCAPED * bytes.length);
      most = Math.max(most, Number(size) / bytes.length);
    }
    // Some of them print many times what they are: otherwise nothing was shown.
    expect(most).toBeGreaterThan(3 * ESCAPED);
  });
});
