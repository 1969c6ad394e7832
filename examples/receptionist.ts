import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeSessionCreateRequest } from 'openai/resources/realtime/realtime';

/*
 * A receptionist, written with the stock client: it takes phone calls and calls from pages, tells when the shop is open, puts callers through
 * to a person, and hangs up. The environment says which server it works with; nothing in here does.
 *
 *   OPENAI_BASE_URL=https://127.0.0.1:8080/v1   OPENAI_API_KEY=…   OPENAI_WEBHOOK_SECRET=whsec_…
 *   NODE_EXTRA_CA_CERTS=data/certificates/ca.pem   PERSON=sip:desk@192.0.2.50   PORT=8000
 */

const client = new OpenAI();
const person = process.env['PERSON'] ?? 'tel:+15550100';

const nothing = { type: 'object', properties: {} };
const session: RealtimeSessionCreateRequest = {
  type: 'realtime',
  model: 'gpt-realtime',
  instructions: 'You are the receptionist of a bicycle shop. Be friendly and brief.',
  audio: { input: { turn_detection: { type: 'server_vad', silence_duration_ms: 400 } } },
  tools: [
    {
      type: 'function',
      name: 'opening_hours',
      description: 'Tells when the shop is open.',
      parameters: { type: 'object', properties: { day: { type: 'string' } }, required: ['day'] },
    },
    { type: 'function', name: 'transfer_to_person', description: 'Puts the caller through to a person.', parameters: nothing },
    { type: 'function', name: 'end_call', description: 'Hangs up.', parameters: nothing },
  ],
};

/** What the tools do. @returns what the model is told, or nothing where the call is over */
async function useTool(callId: string, name: string, args: string): Promise<object | undefined> {
  switch (name) {
    case 'opening_hours':
      return { day: (JSON.parse(args) as { day?: string }).day, hours: '9 to 17' };
    case 'transfer_to_person':
      await client.realtime.calls.refer(callId, { target_uri: person });
      return undefined;
    case 'end_call':
      await client.realtime.calls.hangup(callId);
      return undefined;
    default:
      return { error: `there is no tool ${name}` };
  }
}

/** Listens beside a call until it is over: greets, and runs the tools. */
function attend(callId: string): void {
  const sideband = new OpenAIRealtimeWS({ callID: callId }, client);
  sideband.on('session.created', () => {
    console.log(`${callId} attended`);
    sideband.send({ type: 'response.create' });
  });
  sideband.on('response.function_call_arguments.done', async (call) => {
    const output = await useTool(callId, call.name, call.arguments).catch((thrown: unknown) => ({ error: String(thrown) }));
    console.log(`${callId} ${call.name} ${JSON.stringify(output ?? 'done')}`);
    if (!output) return;
    const item = { type: 'function_call_output', call_id: call.call_id, output: JSON.stringify(output) } as const;
    sideband.send({ type: 'conversation.item.create', item });
    sideband.send({ type: 'response.create' });
  });
  sideband.on('error', (error) => console.log(`${callId} error ${error.message}`));
  sideband.socket.on('close', (code) => console.log(`${callId} over ${code}`));
}

/** Whether a call is taken: the webhook `realtime.call.incoming`. */
async function decide(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const event = await client.webhooks.unwrap(await text(request), request.headers as Record<string, string>).catch(() => undefined);
  if (!event) {
    response.writeHead(400).end();
    return;
  }
  // Said at once: who waits for the accept may ask again.
  response.writeHead(200).end();
  if (event.type !== 'realtime.call.incoming') return;
  const { call_id: callId, sip_headers: headers } = event.data;
  const from = headers.find(({ name }) => name.toLowerCase() === 'from')?.value ?? '';
  if (from.includes('sip:nuisance@')) {
    await client.realtime.calls.reject(callId, { status_code: 603 });
    console.log(`${callId} rejected`);
    return;
  }
  await client.realtime.calls.accept(callId, session);
  console.log(`${callId} accepted`);
  attend(callId);
}

/** A page's call: its offer comes here, so that the page needs no key. */
async function answerPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const created = await client.realtime.calls.create({ sdp: await text(request), session });
  const callId = created.headers.get('location')?.split('/').pop() ?? '';
  response.writeHead(201, { 'content-type': 'application/sdp' }).end(await created.text());
  attend(callId);
}

const server = createServer((request, response) => {
  const handle = request.url === '/offer' ? answerPage : decide;
  handle(request, response).catch((thrown: unknown) => {
    console.log(`failed ${String(thrown)}`);
    if (!response.headersSent) response.writeHead(502).end();
  });
});
server.listen(Number(process.env['PORT'] ?? 8000), '127.0.0.1', () => {
  console.log(`listening http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
