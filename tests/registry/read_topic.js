// Print a topic's events, one a line, as JSON.
//
//   node read_topic.js 127.0.0.1:9092 http://127.0.0.1:8080/registry dispatch.attempts
import { openKafka, openRegistry, readTopics } from './topic.js';

const [brokers, url, topic] = process.argv.slice(2);
if (!topic) {
  console.error('usage: node read_topic.js BROKERS REGISTRY TOPIC');
  process.exit(2);
}

const registry = openRegistry(url);
const printable = (_, value) => (typeof value === 'bigint' ? String(value) : value);
await readTopics(openKafka(brokers), [topic], async (_, partition, { offset, key, value }) => {
  const event = await registry.decode(value);
  console.log(JSON.stringify({ partition, offset, key: String(key), event }, printable));
});
