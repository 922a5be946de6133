import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import lianhu.client.ApiClient;
import lianhu.client.api.ReferralApi;

/**
 * Prints what is on a unit's list, with the classes that openapi-generator made of the document.
 *
 * <p>java -cp ... Work https://127.0.0.1:7444 ca.pem unit.p12
 */
public final class Work {
  private static final char[] PASSWORD = "lianhu".toCharArray(); // that of the development certificates

  public static void main(String[] arguments) throws Exception {
    URI address = URI.create(arguments[0]);
    ApiClient client = new ApiClient();
    client.setScheme(address.getScheme()).setHost(address.getHost()).setPort(address.getPort());
    client.setHttpClientBuilder(HttpClient.newBuilder().sslContext(identity(Path.of(arguments[1]), Path.of(arguments[2]))));
    int listed = new ReferralApi(client)
        .referralListWork("SERVICE_DELIVERY", null, null, null, 10, null, null, null, null).getItems().size();
    System.out.println("java: " + listed + " on the list");
  }

  private static SSLContext identity(Path roots, Path p12) throws Exception {
    KeyStore own = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(p12)) {
      own.load(in, PASSWORD);
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, PASSWORD);
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    try (InputStream in = Files.newInputStream(roots)) {
      for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        trusted.setCertificateEntry("root" + trusted.size(), root);
      }
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }
}
