/** What is sold: some thousand letters, as an article has. */
export const article = (id) => `<!doctype html><title>Article ${id}</title><p>${"A farthing was a quarter of a penny. ".repeat(120)}`;
