// The Vercel AI SDK over OpenDify: a loop of tool calls and an object, plain and streamed.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const settings = {
  name: "opendify",
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  supportsStructuredOutputs: true,
  includeUsage: true,
};
const model = createOpenAICompatible(settings)(process.env.MODEL);
const ran = [];

const get_weather = tool({
  description: "Tell the weather of a city.",
  inputSchema: z.object({
    city: z.string().describe("Its name."),
    days: z.number().int().default(1),
    unit: z.enum(["celsius", "fahrenheit"]).default("celsius"),
  }),
  execute: async (input) => {
    ran.push(input);
    return `${input.unit === "celsius" ? 21 : 70} degrees in ${input.city}`;
  },
});
const planet = z.object({ name: z.string(), moons: z.array(z.string()) });
const looping = { model, tools: { get_weather }, stopWhen: stepCountIs(5) };

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const ways = {
  async plain(prompt) {
    const result = await generateText({ ...looping, prompt });
    return { final: result.text, steps: result.steps.length, finish: result.finishReason };
  },
  async streamed(prompt) {
    const result = streamText({ ...looping, prompt, onError: ({ error }) => { throw error; } });
    const parts = await collect(result.fullStream);
    const steps = await result.steps;
    return {
      final: await result.text,
      deltas: parts.filter((part) => part.type === "text-delta").map((part) => part.text),
      inputs: parts.filter((part) => part.type === "tool-input-delta").map((part) => part.delta),
      steps: steps.length,
      finish: await result.finishReason,
    };
  },
  async required(prompt) {
    const result = await generateText({ model, tools: { get_weather }, toolChoice: "required", prompt });
    return { calls: result.toolCalls.map((call) => [call.toolName, call.input]) };
  },
  async object(prompt) {
    return { object: (await generateObject({ model, schema: planet, prompt })).object };
  },
  async objectWithoutSchema(prompt) {
    const model = createOpenAICompatible({ ...settings, supportsStructuredOutputs: false })(process.env.MODEL);
    return { object: (await generateObject({ model, schema: planet, prompt })).object };
  },
  async objectStreamed(prompt) {
    const result = streamObject({ model, schema: planet, prompt });
    const parts = await collect(result.partialObjectStream);
    return { object: await result.object, parts: parts.length };
  },
  async output(prompt) {
    const result = await generateText({ ...looping, output: Output.object({ schema: planet }), prompt });
    return { object: result.output, steps: result.steps.length };
  },
};

const [way, prompt] = process.argv.slice(2);
console.log(JSON.stringify({ ...(await ways[way](prompt)), ran }));
