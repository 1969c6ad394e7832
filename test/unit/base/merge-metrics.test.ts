import { expect, test } from 'vitest';
import { Metrics } from '../../../src/base/metrics.ts';

test('metrics of several processes are one text in which each name is explained once', async () => {
  const front = new Metrics();
  front.counter('calls_total', 'Calls.', ['cause']).inc({ cause: 'done' }, 3);
  front.observe('only_here', 'Ours.', () => 1);
  front.join(async () => {
    const workers = ['1', '2'].map((worker) => {
      const metrics = new Metrics({ worker });
      metrics.counter('calls_total', 'Calls.', ['cause']).inc({ cause: 'done' }, Number(worker));
      metrics.histogram('wait_ms', 'Waiting.', [10]).observe(5);
      return metrics.text();
    });
    return Promise.all(workers);
  });
  expect((await front.text()).split('\n')).toEqual([
    '# HELP ringdown_calls_total Calls.',
    '# TYPE ringdown_calls_total counter',
    'ringdown_calls_total{cause="done"} 3',
    'ringdown_calls_total{cause="done",worker="1"} 1',
    'ringdown_calls_total{cause="done",worker="2"} 2',
    '',
    '# HELP ringdown_only_here Ours.',
    '# TYPE ringdown_only_here gauge',
    'ringdown_only_here 1',
    '',
    '# HELP ringdown_wait_ms Waiting.',
    '# TYPE ringdown_wait_ms histogram',
    'ringdown_wait_ms_bucket{le="10",worker="1"} 1',
    'ringdown_wait_ms_bucket{le="+Inf",worker="1"} 1',
    'ringdown_wait_ms_sum{worker="1"} 5',
    'ringdown_wait_ms_count{worker="1"} 1',
    'ringdown_wait_ms_bucket{le="10",worker="2"} 1',
    'ringdown_wait_ms_bucket{le="+Inf",worker="2"} 1',
    'ringdown_wait_ms_sum{worker="2"} 5',
    'ringdown_wait_ms_count{worker="2"} 1',
    '',
  ]);
});
