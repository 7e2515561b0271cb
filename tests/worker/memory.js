// Evaluated before the Worker's own module: remembers the instance that it makes.
let instance;
const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(...args) {
    super(...args);
    instance = this;
  }
};

/** Bytes of linear memory. */
export const memory = () => instance.exports.memory.buffer.byteLength;
