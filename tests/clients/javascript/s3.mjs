// S3 by the AWS SDK for JavaScript: both styles of addresses, parts, presigned URLs, pages, waiters.
// Reads AWS_ENDPOINT_URL from the environment; prints one line of JSON.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import * as S3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const address = new URL(process.env.AWS_ENDPOINT_URL);
const byName = `http://s3.localhost.localstack.cloud:${address.port}`;
const styles = {
  path: new S3.S3Client({ forcePathStyle: true }),
  // The bucket becomes a part of the host's name.
  host: new S3.S3Client({ endpoint: byName }),
};

const hosts = {};
for (const [style, s3] of Object.entries(styles)) {
  const Bucket = `javascript-by-${style}`;
  s3.middlewareStack.add(
    (next) => (args) => {
      hosts[style] = args.request.hostname;
      return next(args);
    },
    { step: "finalizeRequest" },
  );
  await s3.send(new S3.CreateBucketCommand({ Bucket }));
  await S3.waitUntilBucketExists({ client: s3, maxWaitTime: 10 }, { Bucket });

  // Objects, their metadata, checksums, ranges and conditions.
  const Key = "a folder/ü+b.csv";
  const put = await s3.send(
    new S3.PutObjectCommand({ Bucket, Key, Body: "1,2\n", ContentType: "text/csv", Metadata: { a: "b" } }),
  );
  assert.ok(put.ChecksumCRC32 || put.ChecksumCRC64NVME, "the checksum of the SDK comes back");
  const got = await s3.send(new S3.GetObjectCommand({ Bucket, Key }));
  assert.equal(await got.Body.transformToString(), "1,2\n");
  assert.deepEqual([got.ContentType, got.Metadata, got.ETag], ["text/csv", { a: "b" }, put.ETag]);
  const part = await s3.send(new S3.GetObjectCommand({ Bucket, Key, Range: "bytes=2-2" }));
  assert.deepEqual([await part.Body.transformToString(), part.ContentRange], ["2", "bytes 2-2/4"]);
  await s3.send(
    new S3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: encodeURI(`${Bucket}/${Key}`).replaceAll("+", "%2B") }),
  );
  await assert.rejects(
    s3.send(new S3.PutObjectCommand({ Bucket, Key, Body: "new", IfNoneMatch: "*" })),
    (error) => error.name === "PreconditionFailed" && error.$metadata.httpStatusCode === 412,
  );

  // A stream of unknown length goes up in parts of 5 MiB.
  const body = Readable.from((function* parts() {
    for (let n = 0; n < 12; n += 1) yield Buffer.alloc(1024 * 1024, n);
  })());
  await new Upload({ client: s3, params: { Bucket, Key: "large", Body: body } }).done();
  const head = await s3.send(new S3.HeadObjectCommand({ Bucket, Key: "large" }));
  assert.equal(head.ContentLength, 12 * 1024 * 1024);
  assert.match(head.ETag, /-3"$/);
  const large = await s3.send(new S3.GetObjectCommand({ Bucket, Key: "large" }));
  const bytes = await large.Body.transformToByteArray();
  assert.deepEqual([bytes.length, bytes.at(-1)], [12 * 1024 * 1024, 11]);
  const stopped = new Upload({ client: s3, params: { Bucket, Key: "stopped", Body: Buffer.alloc(11 * 1024 * 1024) } });
  const done = stopped.done();
  await stopped.abort();
  await assert.rejects(done, { name: "AbortError" });
  const open = await s3.send(new S3.ListMultipartUploadsCommand({ Bucket }));
  for (const { Key: key, UploadId } of open.Uploads ?? []) {
    await s3.send(new S3.AbortMultipartUploadCommand({ Bucket, Key: key, UploadId }));
  }

  // Presigned URLs are for any HTTP client.
  const upload = await getSignedUrl(s3, new S3.PutObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
  assert.equal((await fetch(upload, { method: "PUT", body: "by fetch" })).status, 200);
  const download = await getSignedUrl(
    s3,
    new S3.GetObjectCommand({ Bucket, Key: "signed", ResponseContentDisposition: "attachment" }),
    { expiresIn: 60 },
  );
  const fetched = await fetch(download);
  assert.equal(await fetched.text(), "by fetch");
  assert.equal(fetched.headers.get("content-disposition"), "attachment");

  // Pages, with a delimiter too.
  for (let n = 0; n < 7; n += 1) {
    await s3.send(new S3.PutObjectCommand({ Bucket, Key: `pages/${n}`, Body: "" }));
  }
  const pages = [];
  for await (const page of S3.paginateListObjectsV2({ client: s3, pageSize: 3 }, { Bucket, Prefix: "pages/" })) {
    pages.push(page.Contents.map(({ Key: key }) => key.slice(-1)).join(""));
  }
  assert.deepEqual(pages, ["012", "345", "6"]);
  const top = await s3.send(new S3.ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  assert.deepEqual(top.CommonPrefixes.map(({ Prefix }) => Prefix), ["a folder/", "pages/"]);

  // Typed errors.
  await assert.rejects(
    s3.send(new S3.GetObjectCommand({ Bucket, Key: "missing" })),
    (error) => error instanceof S3.NoSuchKey && error.$metadata.httpStatusCode === 404 && error.Key === "missing",
  );
  await assert.rejects(
    s3.send(new S3.HeadObjectCommand({ Bucket, Key: "missing" })),
    (error) => error instanceof S3.NotFound && error.$metadata.httpStatusCode === 404,
  );
  await assert.rejects(
    s3.send(new S3.ListObjectsV2Command({ Bucket: "javascript-missing" })),
    (error) => error instanceof S3.S3ServiceException && error.name === "NoSuchBucket",
  );
  await assert.rejects(
    s3.send(new S3.DeleteBucketCommand({ Bucket })),
    (error) => error.name === "BucketNotEmpty" && error.$metadata.httpStatusCode === 409,
  );

  const all = await s3.send(new S3.ListObjectsV2Command({ Bucket }));
  const Objects = all.Contents.map(({ Key: key }) => ({ Key: key }));
  const { Deleted } = await s3.send(new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.equal(Deleted.length, Objects.length);
  await S3.waitUntilObjectNotExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key });
  await s3.send(new S3.DeleteBucketCommand({ Bucket }));
  await S3.waitUntilBucketNotExists({ client: s3, maxWaitTime: 10 }, { Bucket });
}
console.log(JSON.stringify(hosts));
