// Says how the files of a release were made: an in-toto statement
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) with a predicate of SLSA
// (https://slsa.dev/spec/v1.0/provenance). CONTRIBUTING.md describes the build type.

const BUILD_TYPE = 'urn:ostrata:release:v1';
/** The builder outside GitHub: a person at a computer, for whom nobody else vouches. */
const PERSON = 'urn:ostrata:builder:person';

/**
 * Returns the workflow of GitHub that runs this, but not which run it is: another run of the same
 * workflow gives the same bytes. https://docs.github.com/en/actions/reference/variables-reference
 */
function builderId({ GITHUB_ACTIONS, GITHUB_SERVER_URL, GITHUB_WORKFLOW_REF }) {
  return GITHUB_ACTIONS === 'true' ? `${GITHUB_SERVER_URL}/${GITHUB_WORKFLOW_REF}` : PERSON;
}

/** Returns where the source is, as far as the machine knows. */
function repositoryOf({ GITHUB_ACTIONS, GITHUB_SERVER_URL, GITHUB_REPOSITORY }) {
  return GITHUB_ACTIONS === 'true' ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}` : undefined;
}

function describeFile({ name, sha256 }) {
  return { name, digest: { sha256 } };
}

/** @param files,lockFiles each with its name and its SHA-256 in hexadecimal digits */
export function provenanceOf({ tag, commit, files, lockFiles, env = process.env }) {
  const ref = `refs/tags/${tag}`;
  const repository = repositoryOf(env);
  const uri = repository === undefined ? undefined : `git+${repository}@${ref}`;
  const source = { name: 'source', uri, digest: { gitCommit: commit } };
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map(describeFile),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { repository, ref },
        resolvedDependencies: [source, ...lockFiles.map(describeFile)],
      },
      runDetails: { builder: { id: builderId(env) } },
    },
  };
}
