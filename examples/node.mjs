// Node 18 or newer, without packages: list the models, then read a stream of OpenAI's protocol by hand.
const url = process.env.HEARTH_URL ?? "http://127.0.0.1:11434";
const model = process.env.HEARTH_MODEL ?? "ember";
const headers = { "Content-Type": "application/json", Authorization: `Bearer ${process.env.HEARTH_KEY ?? "none"}` };

const models = await (await fetch(`${url}/v1/models`, { headers })).json();
console.log("models:", models.data.map((each) => each.id).join(", "));

const answer = await fetch(`${url}/v1/chat/completions`, {
  method: "POST",
  headers,
  body: JSON.stringify({
    model,
    stream: true,
    max_tokens: 20,
    messages: [{ role: "user", content: "Hello" }],
  }),
});
if (!answer.ok) throw new Error(await answer.text());

let text = "";
let rest = "";
for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
  rest += piece;
  const events = rest.split("\n\n");
  rest = events.pop();
  for (const event of events) {
    if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
    const chunk = JSON.parse(event.slice(6));
    if (chunk.error) throw new Error(chunk.error.message);
    text += chunk.choices[0]?.delta?.content ?? "";
  }
}
console.log("chat:", text);
