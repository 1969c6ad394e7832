// A model server that talks and listens, for the benchmark: every response is so many seconds of audio, sent in real time.
import { WebSocketServer } from 'ws';
import { goFirst } from './priority.mjs';

goFirst();

process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const { pieceMs } = JSON.parse(process.argv[2]);
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'realtime' });
const piece = Buffer.alloc(pieceMs * 48, 7);

server.on('connection', (socket) => {
  const send = (event) => socket.readyState === socket.OPEN && socket.send(JSON.stringify({ event_id: 'event_000000000000', ...event }));
  let talk;
  send({ type: 'session.created', session: { id: 'sess' } });
  socket.on('message', (data) => {
    const { type } = JSON.parse(data);
    if (type === 'response.create') talk = begin(send);
    if (type === 'response.cancel') clearInterval(talk);
  });
  socket.on('close', () => clearInterval(talk));
});
process.on('message', async () => {
  while (!server.address()) await new Promise((resolve) => server.once('listening', resolve));
  process.send({ port: server.address().port });
});

function begin(send) {
  const place = { response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0 };
  send({ type: 'response.created', response: { id: place.response_id, status: 'in_progress' } });
  send({ type: 'response.output_item.added', ...place, item: { id: place.item_id, type: 'message', role: 'assistant' } });
  const startedAt = performance.now();
  let sent = 0;
  return setInterval(() => {
    for (; sent * pieceMs <= performance.now() - startedAt; sent += 1) {
      piece.writeDoubleLE(performance.timeOrigin + performance.now(), 0);
      send({ type: 'response.output_audio.delta', ...place, delta: piece.toString('base64') });
      if (sent % 4 === 0) send({ type: 'response.output_audio_transcript.delta', ...place, delta: ' word' });
    }
  }, 5);
}
