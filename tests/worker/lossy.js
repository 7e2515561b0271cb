// The Worker, with a project's object of which every second answer to a delivery is lost after it was carried out: what is
// delivered again must be met once.
import worker, { KeyObject, ProjectObject as Project } from './index.js';

export { KeyObject };

let deliveries = 0;

export class ProjectObject extends Project {
  async handle(message) {
    const answer = await super.handle(message);
    if (message.startsWith('{"deliver"')) {
      deliveries += 1;
      if (deliveries % 2 === 1) throw new Error('the answer was lost');
    }
    return answer;
  }
}

export default worker;
