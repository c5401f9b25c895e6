# The default experiment, then MLflow's page of it:
#   docker build -t caviar . && docker run --rm -p 5000:5000 -v "$PWD/work:/work" caviar
# Another command: docker run --rm -v "$PWD/work:/work" caviar pipeline +experiment=bn
FROM python:3.11-slim
COPY . /caviar
RUN pip install --no-cache-dir -c /caviar/constraints.txt /caviar && rm -rf /caviar && useradd --create-home --uid 1000 caviar && mkdir /work && chown caviar /work
USER caviar
WORKDIR /work
EXPOSE 5000
CMD ["sh", "-c", "pipeline && exec mlflow ui --host 0.0.0.0 --backend-store-uri sqlite:///mlflow.db"]
